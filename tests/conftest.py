"""What several rooms' tests share."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests away from the user's own settings and data."""
    base = tmp_path_factory.mktemp("user")
    monkeypatch.setenv("HANDVIZ_DATA", str(base / "data"))
    monkeypatch.setenv("HANDVIZ_CONFIG", str(base / "config"))


@pytest.fixture
def shared() -> Path:
    """The folder of photographs and clips that some machines have; skips where it is absent."""
    given = os.environ.get("HANDVIZ_SHARED")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the shared photographs are not here (set HANDVIZ_SHARED)")
    return folder


def write_video(path: Path, frames: list[np.ndarray], fps: float = 30.0) -> Path:
    """Write RGB pictures as an mp4."""
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), fps, (width, height))
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


@pytest.fixture
def numbered_video(tmp_path: Path) -> Path:
    """A 40-frame 64x48 video whose grey level tells the frame: 6 levels a frame."""
    return write_video(tmp_path / "numbered.mp4", [np.full((48, 64, 3), 6 * i, np.uint8) for i in range(40)])
