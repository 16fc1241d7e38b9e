from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from handviz.capture.base import parse_source
from handviz.capture.open import open_source
from handviz.capture.pictures import PicturesSource
from tests.capture.exif_files import exif, segment

END = b"\xff\xd9"
KINDS = {
    "plain": [],
    "best": [cv2.IMWRITE_JPEG_QUALITY, 100],
    "own codes": [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
    "full colour": [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444],
    "restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 8],
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
}


def photograph() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_CUBIC), np.uint8)


def grey_below() -> np.ndarray:
    """The exact grey that a decoder leaves where data are missing."""
    picture = photograph()
    picture[60:] = 128
    return picture


def jpeg(picture: np.ndarray, kind: str) -> bytes:
    return cv2.imencode(".jpg", picture, KINDS[kind])[1].tobytes()


def told(folder: Path, data: bytes) -> list[str]:
    """The warnings about a picture in a folder, which is read nevertheless."""
    (folder / "a.jpg").write_bytes(data)
    source = open_source(parse_source(str(folder)))
    assert source.read() is not None
    return source.warnings


def middle(data: bytes) -> int:
    """A position half way through the first scan."""
    start = data.index(b"\xff\xda")
    end = re.compile(rb"\xff[^\x00\xd0-\xd7]").search(data, start + 14)
    assert end is not None
    return (start + 14 + end.start()) // 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_that_lacks_its_end_is_told(tmp_path: Path, kind: str) -> None:
    data = jpeg(photograph(), kind)
    place = middle(data)
    ends = {"in the first scan": data[:place] + END, "before notes of a phone": data[:place] + END + bytes(100) + data}
    if kind not in ("restarts", "progressive"):  # which are in step again after the next mark
        ends["a piece missing"] = data[:place] + data[-400:]
    if kind == "full colour":  # of other kinds OpenCV reads none of it
        ends["the rest zero"] = data[:place] + bytes(len(data) - place)
    for damage, damaged in ends.items():
        warnings = told(tmp_path, damaged)
        assert len(warnings) == 1, damage
        assert re.search(r"a\.jpg: damaged or cut short: .*the rest was used\. Copy it again", warnings[0]), damage


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("picture", [photograph(), grey_below(), np.full((50, 70, 3), 128, np.uint8)])
def test_of_a_whole_jpeg_nothing_is_told(tmp_path: Path, kind: str, picture: np.ndarray) -> None:
    """Phones append other files: a smaller picture, a short video; and the picture in the notes may itself be cut short."""
    data = jpeg(picture, kind)
    cut = jpeg(photograph(), kind)
    cut = cut[: middle(cut)] + END
    video = b"\0\0\0\x18ftypmp42" + np.random.default_rng(1).integers(0, 256, 5000, dtype=np.uint8).tobytes()
    whole = {
        "as it is": data,
        "two pictures": data + data,
        "a damaged one behind it": data + cut,
        "a video behind it": data + video,
        "zeros behind it": data + bytes(4096),
        "padding before its end": data[:-2] + b"\xff" * 7 + END,
        "a small picture in its notes": data[:2] + segment(b"Exif\0\0" + exif(6, 26) + cut[:30000]) + data[2:],
    }
    for what, file in whole.items():
        assert told(tmp_path, file) == [], what


def test_a_jpeg_without_the_mark_of_its_end_is_whole(tmp_path: Path) -> None:
    assert told(tmp_path, jpeg(photograph(), "plain")[:-2] + bytes(1000)) == []


def test_what_is_damaged_is_told_once(tmp_path: Path) -> None:
    data = jpeg(photograph(), "plain")
    (tmp_path / "a.jpg").write_bytes(data[: middle(data)] + END)
    source = open_source(parse_source(str(tmp_path / "a.jpg")))
    assert isinstance(source, PicturesSource)
    for _ in range(3):
        source.seek(0)
        assert source.read() is not None
    assert len(source.warnings) == 1
