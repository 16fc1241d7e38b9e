import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from handviz.errors import SourceError
from tests.training.data.hands import hand_sample
from training.data import encoded
from training.data.checks import problem_of
from training.data.encoded import read_encoded
from training.data.pack import pack_of, write_pack
from training.data.photo_crop import DOUBTFUL
from training.data.resident import decoded_onto
from training.data.sources import open_source, read_source, source_weights
from training.data.splits import is_held_out, shares_person, split_key


@dataclass(frozen=True)
class Part:
    source: str
    share: float = 1.0


@pytest.mark.parametrize(
    ("source", "stem", "key"),
    [
        ("webcam_hands", "3_1528499009.07_pic00051", "3_1528499009.07"),
        ("webcam_hands", "pic00057", "unnamed"),
        ("rps_crops", "paper__paper.egohands-public-1620849859170_png_jpg.rf.45_01174", "egohands-162084"),
        ("rps_crops", "rock__rock.IMG_5636_MOV-49_jpg.rf.b2a3_00051", "IMG_5636_MOV"),
        ("rps_crops", "paper__paper.0159_png.rf.447_01202", "unnamed"),
        ("digit_hands", "2__IMG_4151", "block-207"),
        ("home_counting", "IMG-20230312-WA0699_jpg.rf.49b0cf8a7", "block-34"),
        ("asl_letters", "S17_jpg.rf.145203481479", "take-17"),
        ("green_mat_hands", "rock__0OEXfEooCXlljaEl", "mat"),
        ("my_folder", "anna_0012", "anna"),
    ],
)
def test_split_keys(source, stem, key):
    assert split_key(source, stem) == key


def test_a_room_is_held_out_as_a_whole_and_strangers_never():
    assert is_held_out("webcam_hands", "1528664299.56")
    assert not is_held_out("webcam_hands", "2")
    assert not is_held_out("rps_crops", "unnamed")
    assert not is_held_out("green_mat_hands", "mat")
    share = np.mean([is_held_out("anything", f"room-{i}") for i in range(2000)])
    assert 0.07 < share < 0.13


@pytest.mark.parametrize(
    ("source", "stem", "shared"),
    [
        # Block 4140 to 4159. A student who begins at 4142 ends at 4151; retakes may shift both.
        ("digit_hands", "0__IMG_4142", False),
        ("digit_hands", "9__IMG_4151", False),
        ("digit_hands", "0__IMG_4141", True),
        ("digit_hands", "9__IMG_4158", True),
        ("digit_hands", "5__IMG_4143.jpg#0", True),
        ("home_counting", "IMG-20230312-WA0203_jpg.rf.0", True),
        ("home_counting", "IMG-20230312-WA0204_jpg.rf.0", False),
        ("home_counting", "IMG-20230312-WA0215_jpg.rf.0", False),
        ("home_counting", "IMG-20230312-WA0216_jpg.rf.0", True),
        ("webcam_hands", "1528664299.56_pic00000", False),
    ],
)
def test_pictures_of_somebody_in_the_next_block_are_told(source, stem, shared):
    assert shares_person(source, stem) == shared


@pytest.fixture
def data(tmp_path):
    write_pack(pack_of([hand_sample(i, source="few") for i in range(4)]), tmp_path / "photos" / "train.safetensors")
    for name in ("rendered-1", "rendered-2"):
        write_pack(pack_of([hand_sample(i, source=name) for i in range(6)]), tmp_path / name / "a.safetensors")
    return tmp_path


def test_a_step_always_gives_the_same_batch(data):
    parts = (Part("rendered", 0.65), Part("photos", 0.35))
    a, b = open_source(parts, data, 3), open_source(parts, data, 3)
    assert len(a) == 16
    assert torch.equal(a.draw(7, 32).rgb_B3SS, b.draw(7, 32).rgb_B3SS)
    assert not torch.equal(a.draw(7, 32).joints_px_BJ2, a.draw(8, 32).joints_px_BJ2)


PARTS = (Part("rendered", 0.5), Part("photos", 0.3), Part("rendered-1", 0.2))


def same(a, b):
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in type(a).__dataclass_fields__)


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("names", [("photos",), ("rendered", "photos", "rendered-1")])
def test_the_rows_of_each_process_are_those_of_the_whole_batch(data, names, count):
    source = open_source(tuple(p for p in PARTS if p.source in names), data, 3)
    for step in range(3):
        whole = source.draw(step, 12)
        for rank in range(count):
            rows = slice(rank, None, count)
            assert same(source.draw(step, 12, rows), whole.take(rows))


def test_a_process_decodes_no_rows_but_its_own(data, monkeypatch):
    source = open_source(PARTS, data, 0)
    decoded = []
    plain = encoded.decode_pictures
    monkeypatch.setattr(encoded, "decode_pictures", lambda rgb, mask: (decoded.append(len(rgb)), plain(rgb, mask))[1])
    assert len(source.draw(0, 12, slice(1, None, 4))) == 3
    assert sum(decoded) == 3


def test_pictures_on_a_device_make_the_same_batches(data):
    pack = read_encoded([data / "rendered-1", data / "photos"])
    there = decoded_onto(pack, torch.device("cpu"))
    index = np.array([7, 0, 0, 3, 9])
    assert len(there) == len(pack) == 10
    assert same(there.batch(index), pack.batch(index))
    assert same(there.batch(index[1::2]), pack.batch(index[1::2]))


def test_a_damaged_picture_stops_the_decoding(data):
    pack = read_encoded([data / "photos"])
    broken = dataclasses.replace(pack, rgb=(*pack.rgb[:2], np.zeros(9, np.uint8), *pack.rgb[3:]))
    with pytest.raises(SourceError, match="pack of few: a picture cannot be decoded"):
        decoded_onto(broken, torch.device("cpu"))
    with pytest.raises(SourceError, match="pack of few"):
        broken.batch(np.array([0, 2]))


@pytest.mark.parametrize("size", [1, 3, 32])
def test_batches_have_the_size_that_was_asked_for(data, size):
    source = open_source((Part("rendered", 0.65), Part("photos", 0.3), Part("rendered-1", 0.05)), data, 0)
    assert {len(source.draw(step, size)) for step in range(20)} == {size}


def test_shares_hold_over_many_steps(data):
    source = open_source((Part("rendered", 3.0), Part("photos", 1.0)), data, 0)
    from training.data.sources import _counts

    counts = np.mean([_counts(source.shares, step, 10) for step in range(400)], 0)
    np.testing.assert_allclose(counts, [7.5, 2.5], atol=0.1)


def test_a_large_source_does_not_drown_a_small_one():
    samples = [hand_sample(i, source="large") for i in range(16)] + [hand_sample(i, source="small") for i in range(4)]
    weight = source_weights(pack_of(samples).names)
    np.testing.assert_allclose(weight[:16].sum() / weight[16:].sum(), 2.0)


def test_rendered_hands_are_as_frequent_as_they_were_rendered():
    sources = ["rendered/default"] * 16 + ["rendered/hand_r"] * 4
    weight = source_weights(pack_of([hand_sample(i, source=source) for i, source in enumerate(sources)]).names)
    np.testing.assert_allclose(weight, 1 / 20)


def test_doubtful_hands_count_as_a_source_of_their_own():
    views = [""] * 16 + [DOUBTFUL] * 4
    weight = source_weights(pack_of([hand_sample(i, source="one", view=view) for i, view in enumerate(views)]).names)
    np.testing.assert_allclose(weight[:16].sum() / weight[16:].sum(), 2.0)


@pytest.mark.parametrize("name", ["photos", "rendered", "no-such-pack", "rhd"])
def test_sources_that_are_not_there_are_named(tmp_path, name):
    with pytest.raises(SourceError, match=str(tmp_path)):
        open_source((Part(name),), tmp_path, 0)


def test_a_path_that_is_there_is_taken_as_it_is(data, monkeypatch):
    monkeypatch.chdir(data.parent)
    name = f"{data.name}/rendered-1"
    assert len(read_source(name, data)) == 6
    assert len(open_source((Part(name),), data, 0)) == 6
    assert len(read_source("rendered-2", data)) == 6


def test_no_source_at_all():
    with pytest.raises(SourceError, match="no data"):
        open_source((), None, 0)


GOOD = hand_sample()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"joints_px": GOOD.joints_px + 900}, "far outside"),
        ({"joints_px": np.where(np.arange(21)[:, None] == 3, np.nan, GOOD.joints_px)}, "not finite"),
        ({"joints_px": np.full((21, 2), 50.0)}, "one place"),
        ({"joint_valid": np.zeros(21, bool)}, "fewer than two"),
        ({"joints_m": np.where(np.arange(21)[:, None] == 6, GOOD.joints_m[5], GOOD.joints_m)}, "without length"),
        ({"joints_m": -GOOD.joints_m}, "behind"),
        ({"joints_m": np.full((21, 3), np.inf)}, "not finite"),
        ({"mask": np.zeros((160, 160), np.uint8)}, "empty mask"),
        ({"K": np.full((3, 3), np.nan)}, "camera matrix"),
        ({"sigma_px": np.full(21, np.nan)}, "not finite"),
    ],
)
def test_bad_samples_are_left_out_by_name(changes, reason):
    bad = hand_sample(**changes)
    assert reason in problem_of(bad)


def test_good_samples_and_empty_crops_pass():
    assert problem_of(GOOD) is None
    assert problem_of(hand_sample(is_hand=False, joint_valid=np.zeros(21, bool), joints_m=None)) is None
