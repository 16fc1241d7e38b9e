"""What an evaluation writes, against numbers worked out by hand."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import training.evaluate
from handviz.crop import CropSpec
from handviz.geometry.camera import project
from handviz.hand.skeleton import JOINT_NAMES
from handviz.records import CropResult, HandJoints
from tests.training.data.hands import K, flat_hand, hand_sample
from training.answers import Answers
from training.cli import main
from training.curves import save_pck
from training.data.pack import pack_of, write_pack
from training.metrics import Errors
from training.results import Comparison, table, write_results

NAN = float("nan")


def rows_of(path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_the_curve_is_the_share_of_joints_within_each_threshold(tmp_path) -> None:
    errors = np.array([[4.0, 12.0, NAN], [8.0, 30.0, NAN], [10.0, NAN, 7.0], [60.0, np.inf, NAN]])
    save_pck(tmp_path / "pck", {"a": errors, "b": np.zeros((2, 3))}, "by hand")
    head, *rows = rows_of(tmp_path / "pck.csv")
    assert head == ["threshold_mm", "a", "b"]
    share = {float(threshold): (float(a), float(b)) for threshold, a, b in rows}
    assert len(share) == 101 and max(share) == 50
    # Joint by joint: three of four, none of three, the only one. Ten is within ten.
    assert share[10.0] == pytest.approx(((3 / 4 + 0 / 3 + 1 / 1) / 3, 1.0))
    assert share[20.0] == pytest.approx(((3 / 4 + 1 / 3 + 1 / 1) / 3, 1.0))
    assert share[5.5] == pytest.approx(((1 / 4 + 0 + 0) / 3, 1.0))


def some_errors(procrustes: float, px: float) -> Errors:
    """Three samples' errors: equal at all joints but the wrist, which has half; the last sample's little tip is unknown."""
    shape = np.ones((3, 21)) * np.array([[1.0], [2.0], [3.0]])
    shape[:, 0] /= 2
    shape[2, 20] = NAN
    other = np.full((3, 21), 77.0)
    return Errors(epe_mm=other, root_mm=other, procrustes_mm=procrustes * shape, px=px * shape, palms=other)


@pytest.fixture
def result() -> Comparison:
    plain = Answers(joints_m=np.zeros((3, 21, 3)), joints_px=np.zeros((3, 21, 2)), depth=np.zeros((3, 21)), ms=1.5)
    return Comparison(
        errors={"a": some_errors(10.0, 1.0), "b": some_errors(20.0, 4.0)},
        answers={"a": plain, "b": plain},
        meshes={},
        crops=None,
        align="given-root",
        cut="given",
        views=("palm", "back", "palm"),
        sources=("x", "x", "y"),
    )


def test_the_tables_cells_are_means_of_their_own_rows_and_joints(result) -> None:
    lines = table(result).splitlines()
    # By source: 20.5 of 21 is the wrist's half. The third sample has 20 joints: (3 * 19 + 1.5) / 20 = 2.925.
    x, y = 1.5 * 20.5 / 21, 2.925
    assert f"| x | 2 | {10 * x:.1f} / {x:.3f} | {20 * x:.1f} / {4 * x:.1f} |" in lines
    assert f"| y | 1 | {10 * y:.1f} / {y:.1f} | {20 * y:.1f} / {4 * y:.1f} |" in lines
    assert "| back | 1 | 19.5 / 1.952 | 39.0 / 7.8 |" in lines
    # By joint: the wrist's (0.5 + 1 + 1.5) / 3, a knuckle's (1 + 2 + 3) / 3, the little tip's (1 + 2) / 2.
    at = lines.index("| joint | a: PA mm / 2D px | b: PA mm / 2D px |")
    cells = dict(zip(JOINT_NAMES, lines[at + 2 :], strict=True))
    assert cells["wrist"] == "| wrist | 10.0 / 1.000 | 20.0 / 4.0 |"
    assert cells["index_mcp"] == "| index_mcp | 20.0 / 2.0 | 40.0 / 8.0 |"
    assert cells["little_tip"] == "| little_tip | 15.0 / 1.500 | 30.0 / 6.0 |"


def test_each_sample_has_a_row_and_each_curve_its_own_errors(result, tmp_path) -> None:
    write_results(tmp_path, result, "text")
    head, *rows = rows_of(tmp_path / "samples.csv")
    assert head == ["sample", "source", "view", "a PA mm", "a 2D px", "b PA mm", "b 2D px"]
    assert rows[0] == ["0", "x", "palm", "9.762", "0.976", "19.524", "3.905"]
    assert rows[2] == ["2", "y", "palm", "29.250", "2.925", "58.500", "11.700"]
    # EPE is 77 mm everywhere, PA up to 30 mm: at 50 mm none and all.
    assert rows_of(tmp_path / "pck_epe.csv")[-1] == ["50.0", "0.0", "0.0"]
    assert rows_of(tmp_path / "pck_procrustes.csv")[-1][:2] == ["50.0", "1.0"]
    numbers = json.loads((tmp_path / "results.json").read_text())["b"]
    assert numbers["PA-MPJPE median mm"] == pytest.approx(20 * 2 * 20.5 / 21) and numbers["2D median px"] == pytest.approx(8.0)


# A flat hand facing the camera, and the same hand answered nearer: its picture is a quarter larger.
FLAT = np.concatenate([flat_hand(0.6)[:, :2], np.full((21, 1), 0.6)], 1)


class Nearer:
    name, device = "nearer", "cpu"
    crop_spec = CropSpec(size=64)

    def estimate(self, crops, track_ids):
        joints = FLAT - [0, 0, 0.12]
        sure = np.ones(21)
        return [
            CropResult(
                score=1.0,
                joints=HandJoints(joints_camera_m=joints, joints_px=project(joints, crop.camera.K), confidence=sure),
            )
            for crop in crops
        ]

    def forget(self, track_id):
        """Nothing is kept."""


def test_what_is_given_decides_where_a_hand_is_lifted_to(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(training.evaluate, "open_method", lambda text, hand: Nearer())
    pack = tmp_path / "flat.safetensors"
    write_pack(pack_of([hand_sample(i, joints_m=FLAT, joints_px=project(FLAT, K)) for i in range(2)]), pack)
    found = {}
    for words in ((), ("--align", "given-root"), ("--align", "given-scale"), ("--align", "best-root-and-scale")):
        given = words[-1] if words else "usual"
        out = tmp_path / given
        assert main(["evaluate", str(pack), "--method", "nearer", "--out", str(out), *words]) == 0
        found[given] = json.loads((out / "results.json").read_text())["nearer"]["EPE mean mm"]
    # The root's true depth: the picture that is a quarter larger is a hand a quarter larger.
    assert found["given-root"] == pytest.approx(250 * np.linalg.norm(FLAT[:, :2], axis=1).mean(), rel=1e-3)
    # Only the scale: the hand is right, but 12 cm too near. Fitted best, it lies on the true one.
    assert found["given-scale"] == pytest.approx(120, rel=1e-3)
    assert found["best-root-and-scale"] == pytest.approx(0, abs=0.05)
    assert found["usual"] == found["given-root"]
