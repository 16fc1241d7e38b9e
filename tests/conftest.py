"""Fixtures shared by several folders' tests."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import os
import random
import shutil
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
USERS = count()


if importlib.util.find_spec("triton"):
    # It comes with torch for CUDA, and training imports it. After a window's Mesa OpenGL, whose LLVM is another, it would crash.
    importlib.import_module("triton")


def pytest_collection_finish() -> None:
    """Exclude imported objects from later garbage collections: each window test runs one, which would walk all of them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests away from the user's own settings and data."""
    # Not created: looking for a free name among thousands would take longer than many a test.
    base = tmp_path_factory.getbasetemp() / "users" / str(next(USERS))
    monkeypatch.setenv("HANDVIZ_DATA", str(base / "data"))
    monkeypatch.setenv("HANDVIZ_CONFIG", str(base / "config"))


@pytest.fixture(autouse=True)
def same_chance() -> None:
    """Let every test draw the same numbers, whichever tests ran before it in its process."""
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)


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


@pytest.fixture(scope="session")
def numbered_original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("numbered") / "numbered.mp4"
    return write_video(path, [np.full((48, 64, 3), 6 * i, np.uint8) for i in range(40)])


@pytest.fixture
def numbered_video(numbered_original: Path, tmp_path: Path) -> Path:
    """A 40-frame 64x48 video whose grey level tells the frame: 6 levels per frame."""
    return shutil.copy(numbered_original, tmp_path / "numbered.mp4")
