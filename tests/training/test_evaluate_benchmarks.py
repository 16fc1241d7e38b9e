"""``training evaluate`` on miniature published data sets, with an estimator whose answers are known."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

import training.data.benchmarks.freihand as freihand_module
import training.evaluate
from handviz.crop import CropSpec
from handviz.errors import HandvizError
from handviz.geometry.camera import project
from handviz.hand.skeleton import FINGERTIPS
from handviz.models.recovery import relative_depth, scale_of
from handviz.records import CropResult, HandJoints, HandMesh
from tests.training.data.hands import flat_hand
from training.answers import Answers
from training.cli import main
from training.data.benchmarks.dexter_object import SEQUENCES
from training.evaluate import with_given_scale
from training.metrics import Truth, errors_of

K = np.array([[480.0, 0, 112], [0, 480.0, 112], [0, 0, 1]])


class Scaled:
    """Returns the same hand for every crop, with another size and position than the labelled one."""

    name = "scaled"
    crop_spec = CropSpec(size=64)

    def __init__(self, mesh=None):
        self.mesh = mesh

    def estimate(self, crops, track_ids):
        joints = 1.3 * flat_hand(0.5) + [0.1, 0, 0]
        pixels = [project(joints, crop.camera.K) for crop in crops]
        mesh = None if self.mesh is None else HandMesh(vertices_camera_m=self.mesh, faces=np.zeros((1, 3), int), params=None)
        return [
            CropResult(score=1.0, joints=HandJoints(joints_camera_m=joints, joints_px=p, confidence=np.ones(21)), mesh=mesh)
            for p in pixels
        ]


@pytest.fixture
def dexter(tmp_path):
    """One frame per sequence: a left hand in front of the colour camera, stored in the depth camera's frame as in the files."""
    joints = flat_hand(0.6) * [-1, 1, 1]
    tips = 1000 * joints[list(FINGERTIPS)] * [-1, -1, 1]
    for sequence in SEQUENCES:
        folder = tmp_path / "dexter-object" / "data" / sequence
        (folder / "annotations").mkdir(parents=True)
        row = "; ".join(f"{x:.3f}, {y:.3f}, {z:.3f}" for x, y, z in tips) + ";"
        (folder / "annotations" / f"{sequence}3D.txt").write_text(row + "\n")
        (folder / "color").mkdir()
        cv2.imwrite(str(folder / "color" / "0.png"), np.full((480, 640, 3), 90, np.uint8))
    return tmp_path


def run(dexter, out, *more):
    words = ["evaluate", "dexter-object", "--data", str(dexter), "--method", "scaled", "--out", str(out), *more]
    assert main(words) == 0
    return json.loads((out / "results.json").read_text())["scaled"]


def test_dexter_object_by_best_root_and_scale(dexter, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training.evaluate, "open_method", lambda text, hand: Scaled())
    numbers = run(dexter, tmp_path / "a")
    assert "best root and scale" in capsys.readouterr().out
    # Shift and scale do not count; what remains is the rotation of the crop camera and the depth camera, both small.
    assert 0 < numbers["EPE mean mm"] < 12
    assert numbers["AUC 0-100"] > 0.85
    given = run(dexter, tmp_path / "b", "--align", "given-root")
    # Labels of tips alone give no root and no scale.
    assert given["EPE mean mm"] is None and given["MPJPE root-aligned mm"] is None


@pytest.fixture
def labelled_freihand(tmp_path):
    """Four training and four evaluation hands; every second picture is missing."""
    folder = tmp_path / "freihand"
    for split in ("training", "evaluation"):
        (folder / split / "rgb").mkdir(parents=True)
        (folder / f"{split}_K.json").write_text(json.dumps([K.tolist()] * 4))
        (folder / f"{split}_xyz.json").write_text(json.dumps([flat_hand(0.6).tolist()] * 4))
    for i in range(4):
        cv2.imwrite(str(folder / "training" / "rgb" / f"{i:08d}.jpg"), np.full((224, 224, 3), 99, np.uint8))
    for i in (0, 2):
        cv2.imwrite(str(folder / "evaluation" / "rgb" / f"{i:08d}.jpg"), np.full((224, 224, 3), 99, np.uint8))
    return tmp_path


def test_a_set_without_a_split_is_scored_on_its_evaluation_split(labelled_freihand, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training.evaluate, "open_method", lambda text, hand: Scaled())
    words = ["--data", str(labelled_freihand), "--method", "scaled", "--out", str(tmp_path / "out")]
    # Two of four, spread evenly: the pictures that are missing are not read.
    assert main(["evaluate", "freihand", "--limit", "2", *words]) == 0
    shown = capsys.readouterr().out
    for said in ("freihand:evaluation: 2 hands", "the root depth found by the scale bone", "own first answer"):
        assert said in shown
    assert main(["evaluate", "freihand", "--limit", "2", "--one-look", *words]) == 0
    assert "Crops stand as the pictures do" in capsys.readouterr().out
    assert (tmp_path / "out" / "results.md").read_text().startswith("freihand:evaluation: 2 hands")
    assert main(["evaluate", "freihand", *words]) == 1
    assert "00000001.jpg" in capsys.readouterr().err
    assert main(["evaluate", "freihand:training", *words]) == 0
    assert "freihand:training: 4 hands" in capsys.readouterr().out


def test_frames_without_tips_do_not_stop_the_scoring(dexter, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training.evaluate, "open_method", lambda text, hand: Scaled())
    labels = dexter / "dexter-object" / "data" / "Pinch" / "annotations" / "Pinch3D.txt"
    labels.write_text("0, 0, 32001; " * 5 + "\n")
    run(dexter, tmp_path / "out")
    shown = capsys.readouterr()
    assert "dexter-object:evaluation: 5 hands" in shown.out and "1 x fewer than two labelled joints" in shown.err


def test_given_scale_finds_the_root_by_its_bone():
    """Right pixels and relative depths of a hand seen from the side: its position and size are wrong, but right when lifted."""
    joints = flat_hand(0.6)[None]
    camera = K[None]
    batch = SimpleNamespace(K_B33=torch.from_numpy(camera))
    truth = Truth(joints_m=joints, joints_px=project(joints[0], K)[None], valid=np.ones((1, 21), bool))
    depth = relative_depth(joints)
    answers = Answers(joints_m=1.4 * joints, joints_px=truth.joints_px, depth=depth, ms=1.0)
    errors = errors_of(answers.joints_m, answers.joints_px, truth)
    assert errors.epe_mm.mean() > 100
    for root_given in (True, False):
        lifted = with_given_scale(errors, answers, truth, batch, root_given=root_given).epe_mm
        assert lifted == pytest.approx(0, abs=1e-6)
    unknown = replace(truth, joints_m=np.full_like(joints, np.nan))
    assert np.isnan(with_given_scale(errors, answers, unknown, batch, root_given=True).epe_mm).all(), "not known is no miss"
    deeper = replace(truth, joints_m=joints + [0, 0, 0.1])
    # The pixels no longer fit the truth: only the given root depth does.
    given, found = (with_given_scale(errors, answers, deeper, batch, root_given=g).epe_mm.mean() for g in (True, False))
    assert found > 90 > 30 > given


@pytest.fixture
def freihand(tmp_path, monkeypatch):
    monkeypatch.setattr(freihand_module, "EVALUATION_COUNT", 3)
    folder = tmp_path / "freihand"
    (folder / "evaluation" / "rgb").mkdir(parents=True)
    for i in range(3):
        cv2.imwrite(str(folder / "evaluation" / "rgb" / f"{i:08d}.jpg"), np.full((224, 224, 3), 99, np.uint8))
    (folder / "evaluation_K.json").write_text(json.dumps([K.tolist()] * 3))
    return tmp_path


@pytest.mark.parametrize("mesh", [None, np.full((778, 3), 0.5), np.full((700, 3), 0.5)], ids=["none", "778", "700"])
def test_freihand_submission(freihand, monkeypatch, capsys, mesh):
    monkeypatch.setattr(training.evaluate, "open_method", lambda text, hand: Scaled(mesh))
    out = freihand / "pred.json"
    words = ["evaluate", "freihand:evaluation", "--data", str(freihand), "--method", "scaled", "--freihand-json", str(out)]
    assert main(words) == 0
    joints, vertices = json.loads(out.read_text())
    np.testing.assert_allclose(joints, np.repeat((1.3 * flat_hand(0.5) + [0.1, 0, 0])[None], 3, 0))
    assert np.shape(vertices) == (3, 778, 3)
    is_mesh = mesh is not None and len(mesh) == 778
    assert np.all(np.array(vertices) == (0.5 if is_mesh else 0))
    assert ("they are zeros" in capsys.readouterr().out) != is_mesh


def submitted(freihand, monkeypatch, method):
    """Submit one method's answers with three hands' scales given; return the command, joints and vertices."""
    monkeypatch.setattr(training.evaluate, "open_method", lambda text, hand: method)
    (freihand / "freihand" / "evaluation_scale.json").write_text(json.dumps([0.02, 0.03, 0.04]))
    out = freihand / "pred.json"
    words = ["evaluate", "freihand", "--data", str(freihand), "--method", "scaled", "--freihand-json", str(out)]
    assert main(words) == 0
    joints, vertices = (np.array(part) for part in json.loads(out.read_text()))
    np.testing.assert_allclose(scale_of(joints), [0.02, 0.03, 0.04], rtol=1e-6)
    return words, joints, vertices


@pytest.mark.parametrize("mesh", [None, np.full((778, 3), 0.5)], ids=["joints", "mesh"])
def test_a_submission_is_of_the_scale_that_the_evaluation_gives(freihand, monkeypatch, mesh):
    words, joints, vertices = submitted(freihand, monkeypatch, Scaled(mesh))
    answered = 1.3 * flat_hand(0.5) + [0.1, 0, 0]
    if mesh is not None:
        # Moved along its rays: the picture stays, and the mesh with the joints.
        grow = scale_of(joints) / scale_of(answered)
        np.testing.assert_allclose(vertices, 0.5 * np.ones((3, 778, 3)) * grow[:, None, None])
        np.testing.assert_allclose(project(joints[2], K), project(answered, K), atol=1e-6)
    (freihand / "freihand" / "evaluation_scale.json").write_text(json.dumps([0.02]))
    assert main(words) == 1


def test_a_hand_without_a_mesh_costs_a_submission_no_other(freihand, monkeypatch, capsys):
    class Sometimes(Scaled):
        def estimate(self, crops, track_ids):
            found = super().estimate(crops, track_ids)
            return [replace(one, mesh=None) if i == 1 else one for i, one in enumerate(found)]

    words, _, vertices = submitted(freihand, monkeypatch, Sometimes(np.full((778, 3), 0.5)))
    assert vertices.any((1, 2)).tolist() == [True, False, True]
    assert "1 of 3 hands have no mesh" in capsys.readouterr().out
    assert main([*words, "--one-look"]) == 1 and "--one-look has no effect on" in capsys.readouterr().err


def test_weights_for_a_method_that_takes_none_are_refused():
    with pytest.raises(HandvizError, match="mediapipe takes no weights"):
        training.evaluate.open_method("mediapipe=groups.safetensors")


def test_only_the_dense_hand_has_the_papers_solver():
    with pytest.raises(HandvizError, match="the only other solver is the paper's"):
        training.evaluate.open_method("dense@5:newton")


@pytest.mark.parametrize("method", ["groups@5", "mediapipe@1", "dense@", "dense@:paper", "dense@101"])
def test_steps_of_refinement_are_counted_and_of_what_is_refined(method):
    with pytest.raises(HandvizError, match=f"--method {method}: "):
        training.evaluate.open_method(method)


def test_the_same_method_with_other_weights_keeps_its_own_sheet(dexter, tmp_path, monkeypatch):
    monkeypatch.setattr(training.evaluate, "open_method", lambda text, hand: Scaled())
    out = tmp_path / "out"
    words = ["evaluate", "dexter-object", "--data", str(dexter), "--method", "a=1", "--method", "a=2", "--out", str(out)]
    assert main(words) == 0
    assert {path.name for path in out.glob("overlays*")} == {"overlays_a.jpg", "overlays_a_2.jpg"}


@pytest.mark.parametrize(
    "words", [["freihand:training", "--method", "a"], ["freihand", "--method", "a", "--method", "b"], ["rhd"]]
)
def test_a_submission_is_of_one_method_on_freihands_evaluation(words, tmp_path, capsys):
    assert main(["evaluate", *words, "--freihand-json", str(tmp_path / "pred.json")]) == 1
    assert "freihand:evaluation" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_missing_picture_is_named(freihand, monkeypatch, capsys):
    monkeypatch.setattr(training.evaluate, "open_method", lambda text, hand: Scaled())
    (freihand / "freihand" / "evaluation" / "rgb" / "00000001.jpg").unlink()
    out = freihand / "pred.json"
    assert main(["evaluate", "freihand", "--data", str(freihand), "--method", "x", "--freihand-json", str(out)]) == 1
    assert "00000001.jpg" in capsys.readouterr().err and not out.exists()
