"""Finding MediaPipe's hand models: a bundle of two networks, one for palms and one for landmarks.

Looked for in this order: the path in ``HANDVIZ_HAND_LANDMARKER``, the user's cache, and the
installed mediapipe wheel, from which a bundle is written to the cache. Nothing is downloaded.
"""

from __future__ import annotations

import importlib.util
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
    "Install mediapipe 0.10.21, which carries the models (pip install 'mediapipe==0.10.21'), or download "
    "hand_landmarker.task from MediaPipe's model page and save it as {}"
)


def landmarker_bundle() -> Path:
    """Return the path of a readable ``.task`` bundle. Raises ModelFileError that says what to do."""
    if given := os.environ.get("HANDVIZ_HAND_LANDMARKER"):
        _check(Path(given))
        return Path(given)
    cached = cache_folder() / BUNDLE_NAME
    if not cached.exists():
        _write_from_wheel(cached)
    _check(cached)
    return cached


def landmarks_network() -> bytes:
    """Return the landmark network (a tflite file) from the bundle."""
    with zipfile.ZipFile(landmarker_bundle()) as bundle:
        return bundle.read(LANDMARKS_MEMBER)


def _check(path: Path) -> None:
    advice = _ADVICE.format(cache_folder() / BUNDLE_NAME)
    if not path.is_file():
        raise ModelFileError(f"{path}: no such hand landmarker bundle. {advice}")
    try:
        with zipfile.ZipFile(path) as bundle:
            missing = [name for name in _WHEEL_FILES if name not in bundle.namelist()]
            broken = bundle.testzip()
    except (zipfile.BadZipFile, OSError) as error:
        raise ModelFileError(f"{path}: not a readable .task bundle ({error}). Delete it, then: {advice}") from error
    if missing or broken:
        raise ModelFileError(f"{path}: damaged or of another kind (lacks {missing or broken}). Delete it, then: {advice}")


def _write_from_wheel(target: Path) -> None:
    spec = importlib.util.find_spec("mediapipe")
    places = list(spec.submodule_search_locations or []) if spec else []
    sources = {member: Path(places[0]) / name for member, name in _WHEEL_FILES.items()} if places else {}
    if not sources or not all(path.is_file() for path in sources.values()):
        raise ModelFileError(f"MediaPipe's hand models were not found. {_ADVICE.format(target)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Another process may do the same: write aside, then rename.
        aside = target.with_name(f"{target.name}.{os.getpid()}")
        with zipfile.ZipFile(aside, "w", zipfile.ZIP_STORED) as bundle:
            for member, path in sources.items():
                bundle.write(path, member)
        aside.replace(target)
    except OSError as error:
        raise ModelFileError(
            f"{target}: could not be written ({error}). Set HANDVIZ_CACHE to a folder that can be written to"
        ) from error
