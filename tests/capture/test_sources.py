from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from handviz.capture.base import CameraChoice, SourceSpec, parse_source
from handviz.capture.calibration import Intrinsics
from handviz.capture.open import open_source
from handviz.capture.pictures import left_out
from handviz.errors import SourceError
from tests.capture.exif_files import encoded, exif
from tests.capture.moving_files import moving


def grey(frame: Any) -> float:
    # The codec darkens a little.
    return (float(frame.rgb.mean()) + 3) / 6


def test_words_become_sources(tmp_path: Path, numbered_video: Path) -> None:
    picture = tmp_path / "hand.PNG"
    cv2.imwrite(str(picture), np.zeros((4, 4, 3), np.uint8))
    assert parse_source("1") == SourceSpec(kind="camera", camera=1)
    with pytest.raises(SourceError, match="no such file"):
        parse_source("²")
    assert parse_source("/dev/video2") == SourceSpec(kind="camera", camera="/dev/video2")
    assert parse_source(str(numbered_video)).kind == "video"
    assert parse_source(str(picture)).kind == "image"
    assert parse_source(str(tmp_path)).kind == "folder"
    with pytest.raises(SourceError, match="no such file"):
        parse_source(str(tmp_path / "nothing.mp4"))
    with pytest.raises(SourceError, match="Give a camera number"):
        parse_source("a" * 300)
    with pytest.raises(SourceError, match="no camera has this number"):
        parse_source("99999999999")


def test_a_name_may_begin_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    cv2.imwrite("~hand.png", np.zeros((4, 4, 3), np.uint8))
    assert parse_source("~hand.png") == SourceSpec(kind="image", path=Path("~hand.png"))
    assert parse_source("~/~hand.png").path == tmp_path / "~hand.png"
    with pytest.raises(SourceError, match="no such file, and no such user"):
        parse_source("~nobody-by-this-name/hand.png")


def test_video_is_read_in_order_with_its_times(numbered_video: Path) -> None:
    source = open_source(parse_source(str(numbered_video)))
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.release()
    assert [f.index for f in frames] == list(range(40))
    np.testing.assert_allclose([grey(f) for f in frames], range(40), atol=0.7)
    np.testing.assert_allclose(np.diff([f.t_capture_s for f in frames]), 1 / 30, atol=2e-3)
    assert not frames[0].rgb.flags.writeable


@pytest.mark.parametrize("index", [0, 7, 39, 3])
def test_seeking_gives_the_very_frame(numbered_video: Path, index: int) -> None:
    source = open_source(parse_source(str(numbered_video)))
    source.read()
    source.seek(index)
    frame = source.read()
    assert frame is not None and frame.index == index
    assert grey(frame) == pytest.approx(index, abs=0.7)


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("not a video")
    with pytest.raises(SourceError, match=r"notes\.mp4: not a readable video"):
        open_source(parse_source(str(path)))


def test_video_cut_short_is_noticed_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30, (64, 48))
    for level in range(60):
        writer.write(np.full((48, 64, 3), 4 * level, np.uint8))
    writer.release()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    source = open_source(parse_source(str(path)))
    with pytest.raises(SourceError, match="cut short"):
        while source.read() is not None:
            pass


def test_video_without_frames_is_named(tmp_path: Path) -> None:
    path = tmp_path / "empty.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30, (64, 48))
    writer.release()
    with pytest.raises(SourceError, match=r"empty\.avi"):
        source = open_source(parse_source(str(path)))
        source.read()


def test_huge_video_is_refused_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "8k.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30, (7680, 32))
    writer.write(np.zeros((32, 7680, 3), np.uint8))
    writer.release()
    with pytest.raises(SourceError, match=r"7680x32.*Scale it first"):
        open_source(parse_source(str(path)))


def test_a_photograph_may_be_as_large_as_phones_take_them(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a_phone.png"), np.zeros((8, 8160, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "b_stitched.png"), np.zeros((8, 20_000, 3), np.uint8))
    source = open_source(SourceSpec(kind="folder", path=tmp_path))
    first = source.read()
    assert first is not None and first.rgb.shape == (8, 8160, 3)
    assert source.read() is None
    assert "b_stitched.png: 20000x8 is larger than 16384" in source.warnings[0]


@pytest.mark.parametrize("kind", ["png", "jpg", "tif"])
def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A small file may hold a billion pixels, which would take a quarter of a minute to decode."""
    path = tmp_path / f"huge.{kind}"
    path.write_bytes(encoded(kind, np.zeros((8, 20_000, 3), np.uint8), exif()))
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(SourceError, match=rf"huge\.{kind}: 20000x8 is larger than 16384 pixels a side\. Scale it down"):
        open_source(parse_source(str(path))).read()


def test_pictures_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("frame10.png", "frame2.png", "frame1.png", "a3b20.png", "a3b3.png", "cover.png", "frame01.png", "a\uff123.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    names = [frame.name for frame in iter(open_source(parse_source(str(tmp_path))).read, None)]
    assert names == [
        "a3b3.png",
        "a3b20.png",
        "a\uff123.png",
        "cover.png",
        "frame01.png",
        "frame1.png",
        "frame2.png",
        "frame10.png",
    ]


def test_folder_goes_on_after_an_unreadable_picture(tmp_path: Path) -> None:
    for name in ("a.png", "c.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "b.png").write_bytes(b"broken")
    (tmp_path / "notes.txt").write_text("ignored")
    source = open_source(parse_source(str(tmp_path)))
    names = [frame.name for frame in iter(source.read, None)]
    assert names == ["a.png", "c.png"]
    source.seek(0)
    assert sum(1 for _ in iter(source.read, None)) == 2
    assert len(source.warnings) == 1 and "b.png" in source.warnings[0], "told once, however often it is passed"


def test_empty_folder_and_broken_picture_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no picture"):
        open_source(parse_source(str(tmp_path)))


def test_why_a_picture_can_not_be_read_is_told(tmp_path: Path, numbered_video: Path) -> None:
    whole = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))[1].tobytes()
    cases = {
        b"": "is empty",
        whole[:40]: "cut short",
        numbered_video.read_bytes(): "this is a video",
        b"text": "not a readable picture",
    }
    for content, told in cases.items():
        broken = tmp_path / "x.jpg"
        broken.write_bytes(content)
        with pytest.raises(SourceError, match=rf"x\.jpg: .*{told}"):
            open_source(parse_source(str(broken))).read()


ENDINGS = [("a.jfif", ".jpg"), ("b.JPE", ".jpg"), ("c.jp2", ".jp2"), ("d.ppm", ".ppm"), ("no_ending", ".png"), ("e.data", ".png")]


@pytest.mark.parametrize(("name", "kind"), ENDINGS)
def test_a_picture_is_one_by_whatever_name(tmp_path: Path, name: str, kind: str) -> None:
    cv2.imencode(kind, np.full((64, 80, 3), 200, np.uint8))[1].tofile(tmp_path / name)
    spec = parse_source(str(tmp_path / name))
    assert spec.kind == "image"
    frame = open_source(spec).read()
    assert frame is not None and frame.rgb.shape == (64, 80, 3) and frame.rgb.min() > 190


def gif(pictures: int) -> bytes:
    """A one-pixel GIF, red in all its pictures."""
    head = b"GIF89a" + bytes([1, 0, 1, 0, 0x80, 0, 0]) + bytes([255, 0, 0, 0, 0, 0])
    one = b"\x21\xf9\x04\x00\x0a\x00\x00\x00" + b"\x2c" + bytes([0, 0, 0, 0, 1, 0, 1, 0, 0]) + b"\x02\x02\x44\x01\x00"
    return head + pictures * one + b";"


def test_a_gif_is_a_picture_unless_it_moves(tmp_path: Path) -> None:
    still, lively = tmp_path / "still.gif", tmp_path / "moving.gif"
    still.write_bytes(gif(1))
    lively.write_bytes(gif(3))
    assert [parse_source(str(path)).kind for path in (still, lively)] == ["image", "video"]
    frame = open_source(parse_source(str(still))).read()
    assert frame is not None and frame.rgb.tolist() == [[[255, 0, 0]]]
    assert len(list(iter(open_source(parse_source(str(lively))).read, None))) == 3


MOVES = r"animated, and only its first picture was used\. Convert it to a video"


@pytest.mark.parametrize(
    ("kind", "pictures", "told"), [("png", 3, True), ("webp", 3, True), ("png", 1, False), ("webp", 1, False)]
)
def test_a_picture_that_moves_is_told(tmp_path: Path, kind: str, pictures: int, told: bool) -> None:
    path = tmp_path / f"moving.{kind}"
    path.write_bytes(moving(kind, [np.full((8, 16, 3), 50 * level, np.uint8) for level in range(pictures)]))
    spec = parse_source(str(path))
    source = open_source(spec)
    frames = list(iter(source.read, None))
    assert spec.kind == "image" and len(frames) == 1 and frames[0].rgb.max() < 5
    assert [bool(re.search(rf"moving\.{kind}: {MOVES}", warning)) for warning in source.warnings] == [True] * told


def test_a_gif_that_moves_among_pictures_is_told(tmp_path: Path) -> None:
    for name, pictures in (("a.gif", 1), ("b.gif", 3)):
        (tmp_path / name).write_bytes(gif(pictures))
    source = open_source(parse_source(str(tmp_path)))
    assert len(list(iter(source.read, None))) == 2
    assert len(source.warnings) == 1 and re.search(rf"b\.gif: {MOVES}", source.warnings[0])


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_webp_picture_is_turned_as_a_tiff_is(tmp_path: Path, orientation: int, order: str) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    path = tmp_path / "a.webp"
    path.write_bytes(encoded("webp", picture, exif(orientation, order=order)))
    # From EXIF's table of orientations: where the stored rows and columns begin.
    rows_up, columns_left = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    if orientation >= 5:
        picture = picture.transpose(1, 0, 2)
        rows_up, columns_left = orientation in (7, 8), orientation in (6, 7)
    expected = picture[:: -1 if rows_up else 1, :: -1 if columns_left else 1, ::-1]
    frame = open_source(parse_source(str(path))).read()
    assert frame is not None
    np.testing.assert_array_equal(frame.rgb, expected)


def test_what_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "a.mp4").write_bytes(b"")

    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    monkeypatch.setattr(np, "fromfile", refused)
    for name in ("a.png", "a.mp4"):
        with pytest.raises(SourceError, match=rf"{name}: Permission denied"):
            open_source(parse_source(str(tmp_path / name))).read()
    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(SourceError, match=r"Permission denied.*another folder"):
        open_source(parse_source(str(tmp_path)))


@pytest.mark.parametrize("name", ["photo.heic", "photo.jpg"])
def test_pictures_of_phones_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    with pytest.raises(SourceError, match=r"HEIC.*AVIF.*JPEG or PNG"):
        open_source(parse_source(str(tmp_path / name))).read()


def test_pictures_in_subfolders_are_told_and_named(tmp_path: Path) -> None:
    for name in ("b", "a", ".hidden", "f", "e", "d", "c"):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "x.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "empty").mkdir()
    told = r"6 subfolders with pictures are not included: a, b, c, d, e and 1 more\. Give each"
    with pytest.raises(SourceError, match=told):
        open_source(parse_source(str(tmp_path)))
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((8, 8, 3), np.uint8))
    source = open_source(parse_source(str(tmp_path)))
    assert source.frame_count == 1 and not source.warnings
    assert left_out(tmp_path / "empty") is None and left_out(tmp_path / "nothing") is None


def test_videos_and_raw_photographs_among_pictures_are_told(tmp_path: Path) -> None:
    for name in ("clip.MP4", "other.mov", "shot.cr2", "notes.txt", "labels.json"):
        (tmp_path / name).touch()
    told = left_out(tmp_path)
    assert told is not None and "2 videos are not included: clip.MP4, other.mov. Give each separately" in told
    assert "1 raw photograph is not included: shot.cr2. Save as JPEG" in told and "notes" not in told
    with pytest.raises(SourceError, match="2 videos"):
        open_source(parse_source(str(tmp_path)))


def test_hidden_files_and_folders_are_no_pictures(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "._a.png").write_bytes(b"what a Mac leaves behind")
    (tmp_path / "folder.png").mkdir()
    source = open_source(parse_source(str(tmp_path)))
    assert [frame.name for frame in iter(source.read, None)] == ["a.png"] and not source.warnings


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names are text on other systems")
def test_a_name_that_is_no_text_is_told(tmp_path: Path, numbered_video: Path) -> None:
    """OpenCV crashes at one."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in (b"h\xe9.mp4", b"h\xe9.bin", b"h\xe9.gif"):
        path = folder / os.fsdecode(name)
        shutil.copy(numbered_video, path)
        with pytest.raises(SourceError, match="not valid UTF-8"):
            open_source(parse_source(str(path)), CameraChoice())
    picture = folder / os.fsdecode(b"h\xe9.png")
    picture.write_bytes(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    source = open_source(parse_source(str(folder)), CameraChoice())
    assert source.read() is not None and source.read() is None
    assert any("not valid UTF-8" in warning for warning in source.warnings)


def test_known_distortion_is_taken_out(tmp_path: Path) -> None:
    K = np.array([[300.0, 0, 159.5], [0, 300, 119.5], [0, 0, 1]])
    bent = Intrinsics(K=K, size=(320, 240), distortion=np.array([-0.3, 0.05, 0, 0, 0]))
    point = np.array([[[0.4, 0.3, 1.0]]])
    (u, v), straight = cv2.projectPoints(point, np.zeros(3), np.zeros(3), K, bent.distortion)[0][0, 0], K @ point[0, 0]
    rgb = np.zeros((240, 320, 3), np.uint8)
    cv2.circle(rgb, (round(u), round(v)), 3, (255, 255, 255), -1)
    path = tmp_path / "dot.png"
    cv2.imwrite(str(path), rgb)
    frame = open_source(parse_source(str(path)), CameraChoice(calibrated=bent)).read()
    assert frame is not None and frame.camera.source == "calibrated"
    rows, columns = np.nonzero(frame.rgb[..., 0] > 128)
    np.testing.assert_allclose([columns.mean(), rows.mean()], straight[:2], atol=1.0)
    assert abs(u - straight[0]) > 5
