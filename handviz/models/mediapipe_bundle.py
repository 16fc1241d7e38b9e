"""Finding MediaPipe's hand models: a bundle of two networks, one for palms and one for landmarks.

Looked for in this order: the path in ``HANDVIZ_HAND_LANDMARKER``, the user's cache, and the
installed mediapipe wheel, from which a bundle is put together. Nothing is downloaded, and nothing written.
"""

from __future__ import annotations

import importlib.util
import io
import os
import zipfile
from pathlib import Path

from handviz.errors import ModelFileError
from handviz.paths import cache_folder

BUNDLE_NAME = "hand_landmarker.task"
DETECTOR_MEMBER = "hand_detector.tflite"
LANDMARKS_MEMBER = "hand_landmarks_detector.tflite"
_WHEEL_FILES = {
    DETECTOR_MEMBER: "modules/palm_detection/palm_detection_full.tflite",
    LANDMARKS_MEMBER: "modules/hand_landmark/hand_landmark_full.tflite",
}
_ADVICE = (
    "Install mediapipe 0.10.21, which contains the models (pip install 'mediapipe==0.10.21'), or download "
    "hand_landmarker.task from MediaPipe's model page and save it as {}"
)


def landmarker_bundle() -> bytes:
    """Return a ``.task`` bundle. Raises ModelFileError that says what to do where it is missing or damaged."""
    path = _file()
    return _of_wheel() if path is None else _checked(path)


def landmarks_network() -> bytes:
    """Return the landmark network (a tflite file) from the bundle."""
    with zipfile.ZipFile(io.BytesIO(landmarker_bundle())) as bundle:
        return bundle.read(LANDMARKS_MEMBER)


def bundle_place() -> Path:
    """Return where the bundle comes from: a file, or a folder of the wheel. Raises ModelFileError as ``landmarker_bundle``."""
    landmarker_bundle()
    return _file() or _wheel_files()[DETECTOR_MEMBER].parents[2]


def _file() -> Path | None:
    """Return the file that the user named or put into the cache, None where there is none."""
    if given := os.environ.get("HANDVIZ_HAND_LANDMARKER"):
        return Path(given)
    cached = cache_folder() / BUNDLE_NAME
    # A home folder without access counts as one that holds none.
    return cached if os.access(cached, os.F_OK) else None


def _checked(path: Path) -> bytes:
    advice = _ADVICE.format(cache_folder() / BUNDLE_NAME)
    if not path.is_file():
        raise ModelFileError(f"{path}: no such hand landmarker bundle. {advice}")
    try:
        content = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            missing = [name for name in _WHEEL_FILES if name not in bundle.namelist()]
            broken = bundle.testzip()
    except (zipfile.BadZipFile, OSError) as error:
        raise ModelFileError(f"{path}: not a readable .task bundle ({error}). Delete it, then: {advice}") from error
    if missing or broken:
        raise ModelFileError(f"{path}: damaged or of another kind (lacks {missing or broken}). Delete it, then: {advice}")
    return content


def _of_wheel() -> bytes:
    sources = _wheel_files()
    if not sources or not all(path.is_file() for path in sources.values()):
        raise ModelFileError(f"MediaPipe's hand models were not found. {_ADVICE.format(cache_folder() / BUNDLE_NAME)}")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as bundle:
        for member, path in sources.items():
            bundle.writestr(member, path.read_bytes())
    return content.getvalue()


def _wheel_files() -> dict[str, Path]:
    spec = importlib.util.find_spec("mediapipe")
    places = list(spec.submodule_search_locations or []) if spec else []
    return {member: Path(places[0]) / name for member, name in _WHEEL_FILES.items()} if places else {}
