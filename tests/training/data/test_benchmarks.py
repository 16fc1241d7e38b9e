"""Miniature data sets in the published layouts: what is read back is what was put in front of the camera."""

import json
import pickle
import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
import torch

import training.data.benchmarks.freihand as freihand_module
from handviz.errors import OutputError, SourceError
from handviz.geometry.camera import project
from handviz.hand.skeleton import JOINT_INDEX, JOINT_NAMES
from tests.training.data.hands import flat_hand, hand_sample
from training.data.benchmarks import BENCHMARKS, for_evaluation, open_benchmark, stands_upright
from training.data.benchmarks.base import BenchmarkSource, usable_samples
from training.data.benchmarks.dexter_object import SEQUENCES, DexterObject
from training.data.benchmarks.freihand import FreiHand, evaluation_pictures, evaluation_vertices, write_predictions
from training.data.benchmarks.orders import RHD_NAMES, STB_NAMES
from training.data.benchmarks.rhd import Rhd, read_labels
from training.data.benchmarks.stb import TEST_SEQUENCES, TRAIN_SEQUENCES, Stb, in_view
from training.data.pack import pack_of
from training.data.sources import concatenate, open_source, read_source
from training.recipes.records import DataPart

COLOURS = np.random.default_rng(0).integers(60, 255, (21, 3))


def picture(width, height, joints_px, radius=2):
    """A dark picture with a dot of its own colour at each joint."""
    rgb = np.full((height, width, 3), 20, np.uint8)
    for (x, y), colour in zip(joints_px, COLOURS, strict=True):
        if np.isfinite([x, y]).all():
            cv2.circle(rgb, (round(x), round(y)), radius, colour.tolist(), -1)
    return rgb


def save(path, rgb):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rgb[..., ::-1] if rgb.ndim == 3 else rgb, [cv2.IMWRITE_JPEG_QUALITY, 100])


def assert_joints_lie_on_their_dots(sample, tolerance=90.0):
    """The order of joints, side and crop are right when every joint lies on the dot of its own colour."""
    np.testing.assert_allclose(
        project(sample.joints_m, sample.K)[sample.joint_valid], sample.joints_px[sample.joint_valid], atol=1e-3
    )
    for joint in np.flatnonzero(sample.joint_valid):
        u, v = sample.joints_px[joint].round().astype(int)
        last = len(sample.rgb) - 4
        if not (3 < u < last and 3 < v < last):
            continue
        patch = sample.rgb[v - 2 : v + 3, u - 2 : u + 3].astype(int).reshape(-1, 3)
        assert np.abs(patch - COLOURS[joint]).sum(1).min() < tolerance, JOINT_NAMES[joint]


@pytest.fixture
def freihand(tmp_path):
    K = np.array([[480.0, 0, 112], [0, 480.0, 112], [0, 0, 1]])
    hands = [flat_hand(0.7 + 0.05 * i) for i in range(3)]
    for version in range(2):
        for i, joints in enumerate(hands):
            save(tmp_path / "training" / "rgb" / f"{i + 3 * version:08d}.jpg", picture(224, 224, project(joints, K)))
    for i in range(3):
        save(tmp_path / "training" / "mask" / f"{i:08d}.jpg", np.full((224, 224), 255, np.uint8))
    for name, values in (("K", [K.tolist()] * 3), ("xyz", [h.tolist() for h in hands])):
        (tmp_path / f"training_{name}.json").write_text(json.dumps(values))
    # It is gigabytes in the real data set, so reading it fails here.
    (tmp_path / "training_verts.json").write_text("not to be read")
    return tmp_path


def test_freihand_joints_versions_and_masks(freihand):
    data = FreiHand(freihand)
    assert len(data) == 6
    for sample in (data.sample(1), data.sample(4)):
        assert_joints_lie_on_their_dots(sample)
        np.testing.assert_allclose(np.linalg.norm(sample.joints_m, axis=1), np.linalg.norm(flat_hand(0.75), axis=1), rtol=1e-6)
        assert sample.mask.any() and sample.side == "right"


def test_freihand_evaluation_pictures_without_labels(freihand):
    save(freihand / "evaluation" / "rgb" / "00000000.jpg", np.full((224, 224, 3), 99, np.uint8))
    (freihand / "evaluation_K.json").write_text(json.dumps([[[480, 0, 112], [0, 480, 112], [0, 0, 1]]]))
    ((rgb, camera),) = evaluation_pictures(freihand)
    assert rgb.shape == (224, 224, 3) and (camera.width, camera.height, camera.K[0, 0]) == (224, 224, 480)


def test_what_is_scored_stands_as_photographed(freihand):
    """The true joints turn training crops upright; for evaluation crops they only give the position."""
    K = np.array([[480.0, 0, 112], [0, 480.0, 112], [0, 0, 1]])
    middle = flat_hand(0.7)[9]
    lying = (flat_hand(0.7) - middle) @ np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]) + [0, 0, middle[2]]
    for split in ("training", "evaluation"):
        save(freihand / split / "rgb" / "00000000.jpg", picture(224, 224, project(lying, K)))
        for name, value in (("K", K), ("xyz", lying)):
            (freihand / f"{split}_{name}.json").write_text(json.dumps([value.tolist()]))
        sample = FreiHand(freihand, split).sample(0)
        assert_joints_lie_on_their_dots(sample)
        right, down = sample.joints_px[9] - sample.joints_px[0]
        assert (right > 0.99 * np.hypot(right, down)) == (split == "evaluation")
        assert (down < -0.99 * np.hypot(right, down)) == (split == "training")
    assert stands_upright("freihand") and stands_upright("photos") and not stands_upright("stb:evaluation:SK_color")


def test_freihand_vertices_are_those_of_the_samples(freihand):
    assert evaluation_vertices(freihand, ["evaluation/00000000"]) is None
    path = freihand / "evaluation_verts.json"
    path.write_text(json.dumps([np.full((778, 3), float(i)).tolist() for i in range(3)]))
    found = evaluation_vertices(freihand, ["evaluation/00000002", "evaluation/00000000"])
    assert found.shape == (2, 778, 3) and found[:, 5, 1].tolist() == [2.0, 0.0]
    with pytest.raises(SourceError, match="holds 3 hands"):
        evaluation_vertices(freihand, ["evaluation/00000003"])
    path.write_text("[[[1, 2, 3]]]")
    with pytest.raises(SourceError, match="verts"):
        evaluation_vertices(freihand, ["evaluation/00000000"])


def test_small_pictures_join_a_batch_of_large_ones(freihand):
    large, small = BenchmarkSource(FreiHand(freihand), seed=0).draw(0, 2), pack_of([hand_sample()]).batch(np.arange(1))
    both = concatenate([large, small])
    assert both.rgb_B3SS.shape == (3, 3, 336, 336) and both.rgb_B3SS.dtype == torch.uint8 and both.mask_BSS.shape[-1] == 336
    for joints_m, K, pixels in zip(both.joints_m_BJ3.numpy(), both.K_B33.numpy(), both.joints_px_BJ2.numpy(), strict=True):
        np.testing.assert_allclose(project(joints_m, K), pixels, atol=1e-3)
    assert float(both.sigma_px_BJ[2, 0]) == pytest.approx(0.5 * 336 / 160)


@pytest.mark.parametrize("missing", ["training_K.json", "training_xyz.json", "training/rgb/00000001.jpg"])
def test_freihand_names_the_missing_file(freihand, missing):
    (freihand / missing).unlink()
    with pytest.raises(SourceError, match=missing.split("/")[-1]):
        FreiHand(freihand).sample(1)


@pytest.mark.parametrize("text", ["[[1, 2", '{"a": 1}', "[[[1,2,3]]]", '[["a"],["b"],["c"]]'])
def test_freihand_damaged_labels_are_named(freihand, text):
    (freihand / "training_xyz.json").write_text(text)
    with pytest.raises(SourceError, match=r"xyz"):
        FreiHand(freihand).sample(0)


def test_freihand_predictions(tmp_path, monkeypatch):
    assert freihand_module.EVALUATION_COUNT == 3960
    monkeypatch.setattr(freihand_module, "EVALUATION_COUNT", 30)
    joints, vertices = np.full((30, 21, 3), 0.25), np.full((30, 778, 3), 0.5)
    write_predictions(tmp_path / "pred.json", joints, vertices)
    xyz, verts = json.loads((tmp_path / "pred.json").read_text())
    assert np.shape(xyz) == (30, 21, 3) and np.shape(verts) == (30, 778, 3) and xyz[7][3][1] == 0.25
    with pytest.raises(OutputError, match=r"\(30, 21, 3\)"):
        write_predictions(tmp_path / "pred.json", joints[:5], vertices)
    joints[3, 2, 1] = np.nan
    with pytest.raises(OutputError, match="not finite"):
        write_predictions(tmp_path / "pred.json", joints, vertices)


def rhd_hand(joints):
    return np.stack([joints[JOINT_INDEX[name]] for name in RHD_NAMES])


@pytest.fixture
def rhd(tmp_path):
    K = np.array([[600.0, 0, 160], [0, 600.0, 160], [0, 0, 1]])
    left = flat_hand(0.8) * [-1, 1, 1] + [-0.09, 0, 0]
    right = flat_hand(0.9) + [0.09, 0, 0]
    labels = {}
    for number, larger in ((0, "left"), (3, "right")):
        rgb = picture(320, 320, project(left if larger == "left" else right, K))
        mask = np.zeros((320, 320), np.uint8)
        mask[100:200, 20:120] = 5
        mask[100:200, 200 : 210 if larger == "left" else 310] = 20
        save(tmp_path / "training" / "color" / f"{number:05d}.png", rgb)
        save(tmp_path / "training" / "mask" / f"{number:05d}.png", mask)
        xyz = np.concatenate([rhd_hand(left), rhd_hand(right)]).astype(np.float32)
        labels[number] = {"xyz": xyz, "uv_vis": np.ones((42, 3)), "K": K}
    path = tmp_path / "training" / "anno_training.pickle"
    path.write_bytes(pickle.dumps(labels, protocol=2))
    return tmp_path


def test_rhd_takes_the_larger_hand_and_mirrors_the_left(rhd):
    data = Rhd(rhd)
    left, right = data.sample(0), data.sample(1)
    assert (left.side, right.side) == ("left", "right")
    for sample in (left, right):
        assert_joints_lie_on_their_dots(sample)
        assert sample.mask.any()
        # In a crop every hand is a right one: shown from the palm with fingers up, its thumb is on the right.
        assert sample.joints_px[JOINT_INDEX["thumb_tip"], 0] > sample.joints_px[JOINT_INDEX["little_tip"], 0]


def test_rhd_names_what_is_missing(rhd, tmp_path):
    (rhd / "training" / "mask" / "00003.png").unlink()
    with pytest.raises(SourceError, match=r"00003\.png"):
        Rhd(rhd).sample(1)
    with pytest.raises(SourceError, match="anno_evaluation"):
        Rhd(rhd, "evaluation")


class Evil:
    def __reduce__(self):
        import os

        return os.system, ("touch ran",)


@pytest.mark.parametrize(
    "content", [pickle.dumps(Evil()), pickle.dumps({"a": Evil()}, 2), b"garbage", b"", pickle.dumps([1])[:-3]]
)
def test_pickles_from_outside_run_nothing(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.pickle"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"x\.pickle"):
        read_labels(path)
    assert not Path("ran").exists()


def test_a_rhd_pickle_that_runs_code_is_refused(rhd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (rhd / "training" / "anno_training.pickle").write_bytes(pickle.dumps({0: Evil()}))
    with pytest.raises(SourceError, match="refused"):
        Rhd(rhd)
    assert not Path("ran").exists()


def test_arrays_of_python_2_pickles_are_read(tmp_path):
    path = tmp_path / "a.pickle"
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    path.write_bytes(pickle.dumps({0: {"xyz": array, "n": np.float64(2)}}, protocol=2))
    labels = read_labels(path)
    np.testing.assert_array_equal(labels[0]["xyz"], array)
    assert labels[0]["n"] == 2


@pytest.mark.parametrize("content", [{}, [1, 2], {"a": 1}])
def test_rhd_labels_are_by_number(tmp_path, content):
    path = tmp_path / "a.pickle"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(SourceError, match="no labels by picture number"):
        read_labels(path)


@pytest.fixture
def stb(tmp_path):
    left_mm = 1000 * (flat_hand(0.6) * [-1, 1, 1])
    labels = np.stack([left_mm[JOINT_INDEX[name]] for name in STB_NAMES])
    palm = 0.5 * (left_mm[0] + left_mm[JOINT_INDEX["ring_mcp"]])
    labels[0] = palm
    (tmp_path / "labels").mkdir()
    for sequence in TRAIN_SEQUENCES + TEST_SEQUENCES:
        for kind in ("BB", "SK"):
            scipy.io.savemat(tmp_path / "labels" / f"{sequence}_{kind}.mat", {"handPara": np.repeat(labels.T[:, :, None], 2, 2)})
    return tmp_path, labels


@pytest.mark.parametrize("view", ["BB_left", "BB_right", "SK_color"])
def test_stb_order_units_and_cameras(stb, view):
    folder, labels = stb
    joints = in_view(labels, view)
    K = np.array([[607.92271, 0, 314.78337], [0, 607.88192, 236.42484], [0, 0, 1]])
    K = K if view == "SK_color" else np.array([[822.79041, 0, 318.47345], [0, 822.79041, 250.31296], [0, 0, 1]])
    save(folder / "images" / TRAIN_SEQUENCES[0] / f"{view}_0.png", picture(640, 480, project(joints, K), radius=6))
    data = Stb(folder, view=view)
    assert len(data) == 2 * len(TRAIN_SEQUENCES)
    sample = data.sample(0)
    assert sample.side == "left"
    assert_joints_lie_on_their_dots(sample)
    lengths = np.linalg.norm(sample.joints_m[9] - sample.joints_m[10])
    np.testing.assert_allclose(lengths, np.linalg.norm(flat_hand()[9] - flat_hand()[10]), rtol=1e-6)
    # The label's palm is half way between wrist and ring MCP, so the wrist is recovered.
    np.testing.assert_allclose(
        np.linalg.norm(sample.joints_m[0] - sample.joints_m[13]), np.linalg.norm(flat_hand()[0] - flat_hand()[13]), rtol=1e-6
    )


@pytest.mark.parametrize("damage", ["missing", "text", "other key", "shape"])
def test_stb_label_files_that_can_not_be_used_are_named(stb, damage):
    folder, _ = stb
    path = folder / "labels" / f"{TRAIN_SEQUENCES[3]}_BB.mat"
    path.unlink()
    if damage == "text":
        path.write_text("no mat file")
    if damage == "other key":
        scipy.io.savemat(path, {"other": np.zeros(3)})
    if damage == "shape":
        scipy.io.savemat(path, {"handPara": np.zeros((21, 3))})
    with pytest.raises(SourceError, match=path.name):
        Stb(folder)


def test_stb_is_one_picture_of_each_pair_and_other_cameras_by_name(stb, tmp_path_factory):
    folder, _ = stb
    data = tmp_path_factory.mktemp("data")
    for view, shade in (("BB_left", 50), ("SK_color", 200)):
        for sequence in TRAIN_SEQUENCES + TEST_SEQUENCES:
            for i in range(2):
                save(folder / "images" / sequence / f"{view}_{i}.png", np.full((480, 640, 3), shade, np.uint8))
    shutil.copytree(folder, data / "stb")
    for name, sequences, view, shade in (
        ("stb", TRAIN_SEQUENCES, "BB_left", 50),
        ("stb:evaluation", TEST_SEQUENCES, "BB_left", 50),
        ("stb:evaluation:SK_color", TEST_SEQUENCES, "SK_color", 200),
    ):
        pack = read_source(name, data)
        assert pack.names.name == tuple(f"{sequence}/{view}_{i}" for sequence in sequences for i in range(2))
        assert np.median(pack.rgb_NSS3) == shade


@pytest.mark.parametrize(
    "name", ["rhd:test", "rhd:", "stb:SK_color", "stb:evaluation:SK_depth", "rhd:evaluation:BB_left", "stb:a:b:c"]
)
def test_unknown_splits_and_views_are_named(tmp_path, name):
    with pytest.raises(SourceError, match=f"{name}: unknown (split|view)"):
        open_benchmark(name, tmp_path)


def test_the_evaluation_split_is_scored_and_never_trained_on(tmp_path):
    assert for_evaluation("rhd") == "rhd:evaluation"
    for name in ("rhd:training", "rhd:evaluation", "stb:evaluation:SK_color", "photos", "out/rhd"):
        assert for_evaluation(name) == name
    for name in ("rhd:evaluation", "dexter-object", "dexter-object:training"):
        with pytest.raises(SourceError, match="never to be trained on"):
            open_source([DataPart(source=name)], tmp_path, 0)


@pytest.mark.parametrize("name", ["dexter-object", "dexter-object:training", "dexter-object:evaluation"])
def test_a_set_without_a_training_split_is_not_asked_for_one(tmp_path, name):
    with pytest.raises(SourceError, match=f"{name}: all of it is for evaluation.*Name another data set") as told:
        open_source([DataPart(source=name)], tmp_path, 0)
    assert "split" not in str(told.value)


@pytest.fixture
def dexter(tmp_path):
    tips = 1000 * (flat_hand(0.6) * [-1, 1, 1])[[4, 8, 12, 16, 20]] * [-1, -1, 1]
    for sequence in SEQUENCES:
        folder = tmp_path / "data" / sequence
        rows = ["; ".join(f"{x:.3f}, {y:.3f}, {z:.3f}" for x, y, z in tips) + ";" for _ in range(2)]
        rows[1] = rows[1].replace(rows[1].split(";")[1], " 0, 0, 32001")
        (folder / "annotations").mkdir(parents=True)
        (folder / "annotations" / f"{sequence}3D.txt").write_text("\n".join(rows) + "\n")
        for i in range(2):
            save(folder / "color" / f"Color_{i + 1:04d}.bmp", np.full((480, 640, 3), 90, np.uint8))
    return tmp_path


def test_dexter_tips_only_and_missing_ones(dexter):
    data = DexterObject(dexter)
    assert len(data) == 2 * len(SEQUENCES)
    first, second = data.sample(0), data.sample(1)
    assert np.flatnonzero(first.joint_valid).tolist() == [4, 8, 12, 16, 20]
    assert np.flatnonzero(second.joint_valid).tolist() == [4, 12, 16, 20]
    assert first.side == "left"
    spread = np.linalg.norm(first.joints_m[8] - first.joints_m[20])
    np.testing.assert_allclose(spread, np.linalg.norm(flat_hand()[8] - flat_hand()[20]), rtol=2e-3)


def write_dexter_rows(folder, sequence, tips, count=2):
    row = "; ".join(f"{x:.3f}, {y:.3f}, {z:.3f}" for x, y, z in tips) + ";\n"
    (folder / "data" / sequence / "annotations" / f"{sequence}3D.txt").write_text(row * count)


def test_dexter_crops_are_as_wide_as_hands_whatever_the_tips_do(dexter):
    together = np.array([[x, 0.0, 500.0] for x in (-12, -6, 0, 6, 12)])
    write_dexter_rows(dexter, "Grasp1", together)
    write_dexter_rows(dexter, "Grasp2", 2 * together)
    write_dexter_rows(dexter, "Pinch", 5 * together - [0, 0, 1500])
    samples = {sample.name.split("/")[0]: sample for sample in usable_samples(DexterObject(dexter), Counter())}
    # The width of a stored picture at the tips' depth, in metres: 2 for a network's 1.5 times the hand.
    seen_m = {name: s.rgb.shape[0] / s.K[0, 0] * s.joints_m[s.joint_valid, 2].mean() for name, s in samples.items()}
    for name in ("Grasp1", "Grasp2", "Pinch"):
        assert seen_m[name] == pytest.approx(2 * 0.167, rel=0.05), name
        middle = samples[name].joints_px[samples[name].joint_valid].mean(0)
        np.testing.assert_allclose(middle, (len(samples[name].rgb) - 1) / 2, atol=4)


@pytest.mark.parametrize("z_mm", [32002.0, 0.0, -400.0, np.nan])
def test_dexter_tips_where_none_can_be_are_missing(dexter, z_mm):
    write_dexter_rows(dexter, "Grasp1", np.array([[x, 0.0, z_mm if x == 6 else 500.0] for x in (-12, -6, 0, 6, 12)]))
    assert np.flatnonzero(DexterObject(dexter).sample(0).joint_valid).tolist() == [4, 8, 12, 20]


def test_dexter_frames_with_fewer_than_two_tips_are_left_out_and_counted(dexter):
    one = np.array([[0, 0, 500.0]] + [[0, 0, 32001.0]] * 4)
    write_dexter_rows(dexter, "Rigid", one)
    left_out = Counter()
    kept = list(usable_samples(DexterObject(dexter), left_out))
    assert len(kept) == 2 * len(SEQUENCES) - 2 and not any(sample.name.startswith("Rigid") for sample in kept)
    assert left_out == {"fewer than two labelled joints": 2}


def test_dexter_bad_rows_and_lacking_pictures_are_named(dexter):
    path = dexter / "data" / "Grasp1" / "annotations" / "Grasp13D.txt"
    path.write_text("1, 2, 3; 4, 5;\n")
    with pytest.raises(SourceError, match="line 1"):
        DexterObject(dexter)
    path.unlink()
    with pytest.raises(SourceError, match="Grasp13D"):
        DexterObject(dexter)


def test_lacking_pictures_are_named(dexter):
    (dexter / "data" / "Rigid" / "color" / "Color_0002.bmp").unlink()
    with pytest.raises(SourceError, match="1 pictures for 2 rows"):
        DexterObject(dexter)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_an_empty_folder_says_which_file_is_missing(tmp_path, name):
    with pytest.raises(SourceError, match="no such file"):
        BENCHMARKS[name](tmp_path, "training")


def test_batches_leave_out_bad_samples_and_count_them(freihand):
    xyz = json.loads((freihand / "training_xyz.json").read_text())
    xyz[1] = np.zeros((21, 3)).tolist()
    (freihand / "training_xyz.json").write_text(json.dumps(xyz))
    (freihand / "training" / "rgb" / "00000002.jpg").write_bytes(b"no picture")
    source = BenchmarkSource(FreiHand(freihand), seed=0)
    batch = source.draw(0, 6)
    assert len(batch) == 6 and bool(batch.valid_BJ.all())
    assert sum(source.left_out.values()) > 0
    again = BenchmarkSource(FreiHand(freihand), seed=0).draw(0, 6)
    assert torch.equal(batch.rgb_B3SS, again.rgb_B3SS)


def test_a_data_set_without_any_usable_sample_stops_clearly(freihand):
    (freihand / "training_xyz.json").write_text(json.dumps(np.zeros((3, 21, 3)).tolist()))
    with pytest.raises(SourceError, match="none of 6 samples can be used"):
        BenchmarkSource(FreiHand(freihand), seed=0).draw(0, 4)


def test_splits_are_read_whole_for_evaluation_and_sparsely_for_a_look(freihand, tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    shutil.copytree(freihand, data / "freihand")
    assert len(read_source("freihand:training", data)) == 6
    for limit, spread in ((3, (0, 2, 4)), (4, (0, 1, 3, 4))):
        assert read_source("freihand", data, limit=limit).names.name == tuple(f"training/{i:08d}" for i in spread)
    with pytest.raises(SourceError, match="unknown split"):
        read_source("freihand:test", data)
    with pytest.raises(SourceError, match="evaluation_K"):
        read_source("freihand:evaluation", data)


def test_usable_samples_come_in_order(freihand):
    left_out = Counter()
    names = [sample.name for sample in usable_samples(FreiHand(freihand), left_out)]
    assert names == [f"training/{i:08d}" for i in range(6)] and not left_out
