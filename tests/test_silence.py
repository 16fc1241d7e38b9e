"""Nothing is sent anywhere unless the user asked for it, and nothing listens."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from handviz.clip import bundled_clip

# Runs the networks of every estimator, as `handviz process` does, and fails at the library that opens sound devices.
ALL_ESTIMATORS = """
import sys

def without_ears(event, arguments):
    if event == "import" and arguments[0] == "_sounddevice":
        raise RuntimeError("sound devices were looked for")

sys.addaudithook(without_ears)
from handviz.cli.main import main
for name in ("mediapipe", "fit", "groups", "groups-fit", "dense"):
    assert main(["process", sys.argv[1], "--estimator", name, "--out", sys.argv[2]]) == 0
"""


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    capture = cv2.VideoCapture(str(bundled_clip()))
    read, bgr = capture.read()
    assert read
    cv2.imwrite(str(tmp_path / "hand.png"), bgr)
    return tmp_path / "hand.png"


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    return {**kept, "HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home)}


def test_no_library_listens_or_leaves_what_it_would_send(picture: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    words = [sys.executable, "-c", ALL_ESTIMATORS, str(picture), str(tmp_path / "poses.jsonl")]
    subprocess.run(words, env=environment(home), check=True, capture_output=True)
    left = [path.name for path in home.rglob("*") if path.is_file() and "handviz" not in path.relative_to(home).as_posix()]
    assert not [name for name in left if "onnxruntime" in name or "deviceid" in name], left


def can_trace() -> bool:
    """Whether strace exists and may trace, which not every container allows."""
    return (
        shutil.which("strace") is not None and subprocess.run(["strace", "-o", os.devnull, "true"], check=False).returncode == 0
    )


@pytest.mark.skipif(not can_trace(), reason="needs strace, which sees what native libraries do")
def test_no_library_calls_anyone(picture: Path, tmp_path: Path) -> None:
    home, log = tmp_path / "home", tmp_path / "calls"
    home.mkdir()
    traced = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(log)]
    words = [*traced, sys.executable, "-c", ALL_ESTIMATORS, str(picture), str(tmp_path / "poses.jsonl")]
    subprocess.run(words, env=environment(home), check=True, capture_output=True)
    assert [line for line in log.read_text().splitlines() if "AF_INET" in line] == []
