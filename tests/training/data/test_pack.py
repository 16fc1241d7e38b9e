import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from handviz.errors import OutputError, SourceError
from handviz.records import HandParams
from tests.training.data.hands import SIZE, hand_sample
from training.data.encoded import read_encoded
from training.data.pack import hand_probe, pack_of, read_pack, with_labels, write_pack


def labelled():
    rng = np.random.default_rng(1)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[40:90, 50:100] = 255
    params = HandParams(
        pose=rng.normal(size=45),
        shape=rng.normal(size=10),
        root_rotation=rng.normal(size=3),
        translation_m=np.array([0, 0, 0.5]),
        scale=1.1,
    )
    smooth = np.repeat(np.linspace(0, 255, SIZE).astype(np.uint8)[:, None, None], SIZE, 1).repeat(3, 2)
    return hand_sample(1, rgb=smooth, mask=mask, params=params, side="left", split_key="room", view="edge_on")


def test_writing_and_reading_keeps_every_label(tmp_path):
    empty = hand_sample(2, joints_m=None, joint_valid=np.zeros(21, bool), is_hand=False)
    write_pack(pack_of([labelled(), empty]), tmp_path / "a.safetensors")
    back = read_pack(tmp_path / "a.safetensors")
    first, second, source = back.sample(0), back.sample(1), labelled()
    np.testing.assert_allclose(first.joints_px, source.joints_px, rtol=1e-6)
    np.testing.assert_allclose(first.joints_m, source.joints_m, rtol=1e-6)
    np.testing.assert_array_equal(first.mask, source.mask)
    np.testing.assert_allclose(first.params.pose, source.params.pose, rtol=1e-6)
    assert first.params.scale == pytest.approx(1.1)
    assert (first.side, first.split_key, first.view, first.name) == ("left", "room", "edge_on", "hand-1")
    assert np.abs(first.rgb.astype(int) - source.rgb).max() < 12
    assert second.joints_m is None and second.mask is None and second.params is None and not second.is_hand


def test_colours_keep_their_order(tmp_path):
    red = np.zeros((SIZE, SIZE, 3), np.uint8)
    red[..., 0] = 200
    write_pack(pack_of([hand_sample(rgb=red)]), tmp_path / "a.safetensors")
    pixel = read_pack(tmp_path / "a.safetensors").sample(0).rgb[80, 80]
    assert pixel[0] > 180 and pixel[2] < 20


def test_a_folder_of_packs_reads_as_one(tmp_path):
    for i in range(2):
        write_pack(pack_of([hand_sample(i)]), tmp_path / f"{i}.safetensors")
    assert read_pack(tmp_path).names.name == ("hand-0", "hand-1")


def test_batch_flags_say_which_labels_are_there():
    batch = pack_of([labelled(), hand_sample(3, joints_m=None)]).batch(np.array([1, 0]))
    assert batch.has_mask_B.tolist() == [False, True]
    assert batch.has_params_B.tolist() == [False, True]
    assert batch.has_joints_m_B.tolist() == [False, True]
    assert batch.is_hand_B.all()
    assert batch.rgb_B3SS.dtype == torch.uint8 and batch.rgb_B3SS.shape == (2, 3, SIZE, SIZE)
    assert float(batch.mask_BSS.max()) == 1.0
    np.testing.assert_allclose(batch.scale_B[1], 1.1, rtol=1e-6)


@pytest.mark.parametrize("kind", ["missing", "cut off", "no pack", "text", "empty folder", "names too short"])
def test_unreadable_packs_are_named(tmp_path, kind):
    path = tmp_path / "a.safetensors"
    if kind == "cut off":
        write_pack(pack_of([labelled()]), path)
        path.write_bytes(path.read_bytes()[:-200])
    elif kind == "no pack":
        save_file({"x": np.zeros(3)}, path)
    elif kind == "text":
        path.write_text("hello")
    elif kind == "empty folder":
        path = tmp_path
    elif kind == "names too short":
        save_file({"x": np.zeros(3)}, path, {"format": "handviz-pack-1", "names": "{}"})
    with pytest.raises(SourceError, match=str(path)):
        read_pack(path)


def test_an_unwritable_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="could not be written"):
        write_pack(pack_of([labelled()]), tmp_path / "file" / "a.safetensors")


def test_a_full_disk_is_told_and_keeps_what_was_there(tmp_path, monkeypatch):
    write_pack(pack_of([labelled()]), tmp_path / "a.safetensors")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write_pack(pack_of([labelled(), labelled()]), tmp_path / "a.safetensors")
    assert len(read_pack(tmp_path / "a.safetensors")) == 1 and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("array", "change", "message"),
    [
        ("joints_px_NJ2", lambda a: a.astype(np.float64), "joints_px_NJ2 holds float64"),
        ("joints_px_NJ2", lambda a: a[:, :20], "joints_px_NJ2 holds float32 (20, 2)"),
        ("params_N62", lambda a: a[:, :61], "params_N62"),
        ("K_N33", lambda a: a * np.nan, "not finite"),
        ("K_N33", lambda a: a * 0, "a focal length is not positive"),
        ("joints_m_NJ3", lambda a: a + np.nan, "not finite"),
    ],
)
@pytest.mark.parametrize("read", [read_pack, lambda path: read_encoded([path])], ids=["decoded", "encoded"])
def test_arrays_that_are_no_samples_are_told(tmp_path, read, array, change, message):
    path = tmp_path / "a.safetensors"
    pack = pack_of([labelled()])
    write_pack(with_labels(pack, **{array: change(getattr(pack, array))}), path)
    with pytest.raises(SourceError, match=r"a\.safetensors: the pack is damaged") as told:
        read(path)
    assert message in str(told.value)


@pytest.mark.parametrize("names", ["[]", '{"name": 3}', "[" * 10_000])
def test_names_of_another_kind_are_told(tmp_path, names):
    save_file({"x": np.zeros(1)}, tmp_path / "a.safetensors", {"format": "handviz-pack-1", "names": names})
    with pytest.raises(SourceError, match="the pack is damaged"):
        read_pack(tmp_path / "a.safetensors")


def test_a_pack_of_a_later_version_is_told(tmp_path):
    save_file({"x": np.zeros(1)}, tmp_path / "a.safetensors", {"format": "handviz-pack-2"})
    with pytest.raises(SourceError, match="of another version, 'handviz-pack-2'"):
        read_pack(tmp_path / "a.safetensors")


def test_parameters_of_another_version_of_the_hand_are_left_out(tmp_path, monkeypatch):
    now = hand_probe("default")
    monkeypatch.setattr("training.data.pack.hand_probe", lambda hand: now + 0.005)
    write_pack(pack_of([labelled()]), tmp_path / "a.safetensors")
    monkeypatch.undo()
    with pytest.warns(UserWarning, match="another version"):
        back = read_pack(tmp_path / "a.safetensors").sample(0)
    assert back.params is None and back.joints_m is not None


def test_encoded_packs_give_the_same_batches(tmp_path):
    empty = hand_sample(2, joints_m=None, joint_valid=np.zeros(21, bool), is_hand=False)
    write_pack(pack_of([labelled(), empty]), tmp_path / "a.safetensors")
    write_pack(pack_of([hand_sample(3)]), tmp_path / "b.safetensors")
    index = np.array([2, 0, 1, 2])
    plain, lean = read_pack(tmp_path).batch(index), read_encoded([tmp_path]).batch(index)
    for name in plain.__dataclass_fields__:
        assert torch.equal(getattr(plain, name), getattr(lean, name)), name


def test_a_pack_closed_to_us_is_told_from_a_damaged_one(tmp_path, monkeypatch):
    write_pack(pack_of([labelled()]), tmp_path / "a.safetensors")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(SourceError, match=r"cannot be read\. Check its permissions"):
        read_pack(tmp_path / "a.safetensors")
