from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from handviz.cli.main import main


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
    assert "no export format" in capsys.readouterr().err
    assert main(["convert", str(poses.with_name("gone.jsonl")), str(poses.with_suffix(".csv"))]) == 1
    assert "gone.jsonl" in capsys.readouterr().err
