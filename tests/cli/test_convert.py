from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from handviz.cli.main import main
from handviz.hand.hand_file import hand_digest
from handviz.hand.library import hand_path


@pytest.fixture
def poses(tmp_path: Path) -> Path:
    hand = {
        "track_id": 0,
        "side": "right",
        "score": 0.9,
        "box_xyxy_px": [0, 0, 10, 10],
        "joints_px": np.random.default_rng(0).uniform(0, 10, (21, 2)).tolist(),
        "joints_camera_m": (np.random.default_rng(1).normal(0, 0.05, (21, 3)) + [0, 0, 0.5]).tolist(),
        "confidence": [1.0] * 21,
        "mesh": None,
    }
    line = {"frame": 0, "source": None, "t_s": 0.0, "width": 64, "height": 48, "hands": [hand]}
    path = tmp_path / "poses.jsonl"
    path.write_text("".join(json.dumps({**line, "frame": i, "t_s": i / 30}) + "\n" for i in range(5)))
    return path


@pytest.mark.parametrize("suffix", ["csv", "npz", "bvh", "glb"])
def test_every_skeleton_format_is_written(poses: Path, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = poses.with_suffix(f".{suffix}")
    assert main(["convert", str(poses), str(out)]) == 0
    assert out.stat().st_size > 100 and str(out) in capsys.readouterr().out


def test_unknown_format_and_missing_file_are_told(poses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(poses), str(poses.with_suffix(".fbx"))]) == 1
    assert "not an export format" in capsys.readouterr().err
    assert main(["convert", str(poses.with_name("gone.jsonl")), str(poses.with_suffix(".csv"))]) == 1
    assert "gone.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"\x89PNG\x00\x01 no end of a line"])
def test_a_file_without_a_frame_makes_nothing(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "wrong.jsonl").write_bytes(content)
    assert main(["convert", str(tmp_path / "wrong.jsonl"), str(tmp_path / "out.csv")]) == 1
    assert "wrong.jsonl holds no frame" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_every_written_file_is_named(poses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [json.loads(line) for line in poses.read_text().splitlines()]
    for line in lines:
        line["hands"].append({**line["hands"][0], "track_id": 1, "side": "left"})
    poses.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["convert", str(poses), str(poses.with_name("two.bvh"))]) == 0
    told = capsys.readouterr().out
    named = {word for word in told.split() if word.endswith(".bvh")}
    assert named == {str(path) for path in poses.parent.glob("*.bvh")} and len(named) == 2


def test_a_damaged_line_is_told_with_what_came_before_it(poses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = poses.read_text().splitlines(keepends=True)
    poses.write_text("".join([*lines[:2], "{\n", *lines[2:]]))
    assert main(["convert", str(poses), str(poses.with_suffix(".csv"))]) == 1
    assert (
        "line 3, is not a frame" in (told := capsys.readouterr().err)
        and f"The 2 frames before it: {poses.with_suffix('.csv')}." in told
    )


def test_a_last_line_that_is_cut_off_is_told(poses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(poses), str(poses.with_suffix(".csv"))]) == 0
    assert "cut off" not in capsys.readouterr().err
    poses.write_bytes(poses.read_bytes()[:-40])
    assert main(["convert", str(poses), str(poses.with_suffix(".csv"))]) == 0
    assert "its last line is cut off" in capsys.readouterr().err


def test_a_name_too_long_is_told_before_it_is_begun(poses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(poses), str(poses.with_name("a" * 250 + ".npz"))]) == 1
    assert "too long" in capsys.readouterr().err


def with_meshes(poses: Path, digest: str | None) -> None:
    """Give each hand a mesh of the default hand, either of its present file or of another file with the same name."""
    placed = {"rotation": [0, 0, 0], "translation_m": [0, 0, 0.5], "scale": 1.0}
    mesh = {"pose": [0] * 45, "shape": [0] * 10, "global": placed, "hand_model": "default", "silhouette_iou": None}
    lines = [json.loads(line) for line in poses.read_text().splitlines()]
    for line in lines:
        line["hands"][0]["mesh"] = mesh if digest is None else {**mesh, "hand_digest": digest}
    poses.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize("suffix", ["obj", "glb", "csv"])
def test_meshes_of_another_hand_of_the_same_name_are_told(poses: Path, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    cases = {None: False, hand_digest(hand_path("default")): False, "0123456789ab": suffix != "csv"}
    for digest, told in cases.items():
        with_meshes(poses, digest)
        assert main(["convert", str(poses), str(poses.with_suffix(f".{suffix}"))]) == 0
        assert ("made with another hand named 'default' and are rebuilt with yours" in capsys.readouterr().err) is told
