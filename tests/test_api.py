from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import handviz
from handviz.errors import HandvizError


def test_every_frame_comes_in_order(numbered_video: Path) -> None:
    results = list(handviz.track(numbered_video, estimator="mediapipe"))
    assert [result.frame.index for result in results] == list(range(40))
    assert all(result.hands == () for result in results)


def test_wrong_source_and_estimator_are_told(numbered_video: Path, tmp_path: Path) -> None:
    with pytest.raises(HandvizError, match="no such file"):
        handviz.track(tmp_path / "gone.mp4")
    with pytest.raises(HandvizError, match="unknown estimator"):
        handviz.track(numbered_video, estimator="magic")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_hands", 0),
        ("max_hands", 1.5),
        ("fov_deg", 500),
        ("hand_size_m", -1),
        ("hand_size_m", 5),
        ("hand_size_m", float("nan")),
        ("refine_iterations", 999),
        ("device", "gpu"),
        ("hand_model", "nobody"),
    ],
)
def test_a_wrong_argument_is_named(numbered_video: Path, name: str, value: object) -> None:
    options = {"estimator": "mediapipe", name: value}
    with pytest.raises(HandvizError, match=f"{name} = {value}" if name not in ("device", "hand_model") else str(value)):
        handviz.track(numbered_video, **options)  # type: ignore[arg-type]


def test_importing_is_light() -> None:
    code = "import sys, handviz; print([m for m in ('torch', 'cv2', 'mediapipe', 'PySide6') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        handviz.nothing  # noqa: B018
