"""Seeking shows the same frame as reading in order does for that number, however frames are spaced in time."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from handviz.capture import video
from handviz.capture.base import CameraChoice
from handviz.capture.timeline import Timeline, _restarts, read_timeline
from handviz.capture.video import VideoSource, _Clock
from handviz.clip import bundled_clip
from handviz.errors import SourceError
from handviz.export.video import VideoWriter
from handviz.records import Frame

COUNT = 120
BITS = 7


def times_s(kind: str) -> np.ndarray:
    """Times of a recording at 30 Hz: exactly, as a webcam gives them, or as one that stopped for three seconds."""
    if kind == "even":
        return np.arange(COUNT) / 30
    times = np.cumsum(np.random.default_rng(0).normal(0.033, 0.004, COUNT).clip(0.005))
    times[COUNT // 2 :] += 3.0 if kind == "gap" else 0.0
    return times - times[0]


def picture(number: int) -> np.ndarray:
    """White stripes are the ones of its number in binary."""
    rgb = np.zeros((48, 8 * BITS, 3), np.uint8)
    for bit in range(BITS):
        rgb[:, 8 * bit : 8 * bit + 8] = 255 * (number >> bit & 1)
    return rgb


def number_in(frame: Frame) -> int:
    return sum(int(frame.rgb[:, 8 * bit + 2 : 8 * bit + 6].mean() > 128) << bit for bit in range(BITS))


@pytest.fixture(params=["even", "jitter", "gap"])
def recording(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"{request.param}.mp4"
    with VideoWriter(path) as writer:
        for number, t_s in enumerate(times_s(request.param)):
            writer.write(picture(number), t_s)
    return path


@pytest.fixture(params=["mp4v.mp4", "mp2v.mp4", "VP80.webm", "MPG2.avi"])
def encoded(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A recording of pictures that build on one another; MPEG-2 stores them out of order, and in an AVI without their times."""
    return encode(tmp_path / request.param)


def encode(path: Path) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*path.stem), 30, (8 * BITS, 48))
    assert writer.isOpened()
    for number in range(COUNT):
        writer.write(picture(number))
    writer.release()
    return path


def packets(data: bytes) -> list[slice]:
    """Where the packets of a one-track MP4 lie, whose media data begins with them."""
    at = data.index(b"stsz") + 12
    (count,) = struct.unpack_from(">I", data, at)
    ends = data.index(b"mdat") + 4 + np.cumsum(struct.unpack_from(f">{count}I", data, at + 4))
    return [slice(start, end) for start, end in zip([data.index(b"mdat") + 4, *ends], ends, strict=False)]


def damaged(path: Path, first: int, last: int) -> Path:
    """The bundled clip, 300 frames of H.264, with some packets overwritten by zeros."""
    clip = bundled_clip()
    assert clip is not None
    data = bytearray(clip.read_bytes())
    for packet in packets(bytes(data))[first : last + 1]:
        data[packet] = bytes(packet.stop - packet.start)
    path.write_bytes(data)
    return path


def with_repeated_time(path: Path, number: int) -> Path:
    """An evenly timed recording whose picture ``number`` has the time of the one before."""
    times = np.arange(COUNT) / 30
    times[number:] -= 1 / 30 - 1 / 90_000
    with VideoWriter(path) as writer:
        for i, t_s in enumerate(times):
            writer.write(picture(i), t_s)
    data = path.read_bytes()
    one_tick = data.index(struct.pack(">II", 1, 1), data.rindex(b"stts"))
    path.write_bytes(data[:one_tick] + struct.pack(">II", 1, 0) + data[one_tick + 8 :])
    return path


class Counted:
    """An OpenCV capture that counts how often it decodes or opens the file."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self.capture, self.decoded, self.openings = capture, 0, 0

    def grab(self) -> bool:
        good = self.capture.grab()
        self.decoded += good
        return good

    def open(self, *args: Any) -> bool:
        self.openings += 1
        return self.capture.open(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.capture, name)


def counted(source: VideoSource) -> Counted:
    source._capture = capture = Counted(source._capture)
    return capture


def opened(path: Path) -> VideoSource:
    return VideoSource(path, CameraChoice())


def sought(source: VideoSource, index: int) -> Frame:
    source.seek(index)
    frame = source.read()
    assert frame is not None
    return frame


def test_every_frame_is_found_whichever_was_before(recording: Path) -> None:
    source = opened(recording)
    in_order = [frame.t_capture_s for frame in iter(source.read, None)]
    assert len(in_order) == COUNT
    source = opened(recording)
    for index in [40, 5, COUNT - 1, 0, 61, 60, 59, 58, 100, *np.random.default_rng(1).integers(0, COUNT, 30).tolist()]:
        frame = sought(source, index)
        assert (frame.index, number_in(frame)) == (index, index)
        assert frame.t_capture_s == in_order[index]


def test_reading_goes_on_from_where_it_was_sent(recording: Path) -> None:
    source = opened(recording)
    source.seek(50)
    frames = [source.read() for _ in range(20)]
    assert [(f.index, number_in(f)) for f in frames if f is not None] == [(i, i) for i in range(50, 70)]


def test_the_last_frame_is_an_end_and_no_damage(recording: Path) -> None:
    source = opened(recording)
    assert number_in(sought(source, COUNT + 5)) == COUNT - 1
    assert source.read() is None
    assert source.frame_count == COUNT and not source.warnings
    assert number_in(sought(source, 3)) == 3


def test_a_file_that_tells_no_times_is_counted_through(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "read_timeline", lambda path: Timeline(times_s=None, packets=COUNT))
    source = opened(recording)
    for index in (70, 10, COUNT - 1, 0):
        frame = sought(source, index)
        assert (frame.index, number_in(frame)) == (index, index)


def test_the_timeline_has_each_frame_once(recording: Path) -> None:
    timeline = read_timeline(recording)
    assert timeline.packets == COUNT and timeline.times_s is not None
    np.testing.assert_allclose(timeline.times_s, times_s(recording.stem), atol=2e-5)
    assert [timeline.index_at(t) for t in timeline.times_s] == list(range(COUNT))


def test_no_video_has_no_timeline(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("not a video")
    assert read_timeline(tmp_path / "notes.mp4").times_s is None


def test_a_search_in_a_file_cut_short_says_so_and_stays_within(tmp_path: Path) -> None:
    path = tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30, (8 * BITS, 48))
    for number in range(60):
        writer.write(picture(number))
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = opened(path)
    source.seek(55)
    assert source.frame_count is not None and 20 < source.frame_count < 40
    assert len(source.warnings) == 1 and "of 60 frames" in source.warnings[0]
    assert number_in(sought(source, 12)) == 12 and number_in(sought(source, 4)) == 4


def test_a_file_that_is_gone_is_named(recording: Path) -> None:
    source = opened(recording)
    assert number_in(sought(source, 30)) == 30
    recording.rename(recording.with_name("moved.mp4"))
    with pytest.raises(SourceError, match="cannot be read any more"):
        source.seek(0)


def test_every_frame_is_found_where_pictures_build_on_one_another(encoded: Path) -> None:
    source = opened(encoded)
    assert [number_in(frame) for frame in iter(source.read, None)] == list(range(COUNT))
    for index in [40, 5, COUNT - 1, 0, 61, 60, 59, 58, 100, *np.random.default_rng(1).integers(0, COUNT, 30).tolist()]:
        frame = sought(source, index)
        assert (frame.index, number_in(frame)) == (index, index)
    assert not source.warnings


def test_the_start_is_found_without_reading_the_file(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = opened(recording)
    assert [number_in(frame) for frame in iter(source.read, None)] == list(range(COUNT))
    monkeypatch.setattr(video, "read_timeline", None)
    for _ in range(2):
        assert [(f.index, number_in(f), f.t_capture_s) for f in (sought(source, 0),)] == [(0, 0, 0.0)]
        assert [number_in(frame) for frame in iter(source.read, None)] == list(range(1, COUNT))


@pytest.mark.parametrize("repeated", [1, 2, 60, COUNT - 2])
def test_a_repeated_time_costs_no_search_from_the_start(tmp_path: Path, repeated: int) -> None:
    path = with_repeated_time(tmp_path / "repeated.mp4", repeated)
    times = read_timeline(path).times_s
    assert times is not None and np.flatnonzero(np.diff(times) == 0).tolist() == [repeated - 1]
    source = opened(path)
    assert [number_in(frame) for frame in iter(source.read, None)] == list(range(COUNT))
    for index in [100, repeated, repeated - 1, min(repeated + 1, COUNT - 1), 30, 0, 1, 2, COUNT - 1]:
        frame = sought(source, index)
        assert (frame.index, number_in(frame)) == (index, index)
    capture = counted(source)
    for index in (90, 70, 50, 30):
        source.seek(index)
    assert capture.openings == 0 and capture.decoded < 60


def test_a_frame_that_can_not_be_decoded_is_passed_over_and_told(tmp_path: Path) -> None:
    source = opened(damaged(tmp_path / "hole.mp4", 200, 200))
    assert [frame.index for frame in iter(source.read, None)] == [*range(200), *range(201, 300)]
    assert len(source.warnings) == 1 and "hole.mp4: damaged: frame 200 cannot be decoded" in source.warnings[0]


def test_a_search_for_what_can_not_be_decoded_stays_near(tmp_path: Path) -> None:
    path = damaged(tmp_path / "hole.mp4", 200, 219)
    in_order = {frame.index: frame.t_capture_s for frame in iter(opened(path).read, None)}
    source = opened(path)
    source.seek(50)
    capture = counted(source)
    for index, found in [(199, 199), (200, 220), (210, 220), (219, 220), (220, 220), (221, 221), (223, 223), (198, 198)]:
        frame = sought(source, index)
        assert (frame.index, frame.t_capture_s) == (found, in_order[found])
    assert capture.openings == 0 and capture.decoded < 150


def test_the_end_is_the_last_frame_that_can_be_decoded(tmp_path: Path) -> None:
    source = opened(damaged(tmp_path / "end.mp4", 298, 299))
    source.seek(50)
    capture = counted(source)
    assert sought(source, 299).index == 297
    assert source.read() is None and source.frame_count == 298
    assert capture.openings == 0 and capture.decoded < 20


def test_damage_is_told_at_the_end_also_after_a_search(tmp_path: Path) -> None:
    path = damaged(tmp_path / "half.mp4", 150, 299)
    for start in (0, 100, 299):
        source = opened(path)
        source.seek(start)
        capture = counted(source)
        with pytest.raises(SourceError, match=r"half\.mp4: cut short or damaged, only 150 of 300 frames could be read"):
            while source.read() is not None:
                pass
        assert capture.decoded <= 150


def test_a_trimmed_file_is_whole_without_what_it_does_not_show(tmp_path: Path) -> None:
    path = encode(tmp_path / "mp2v.mp4")
    data = bytearray(path.read_bytes())
    edit, scale = data.index(b"elst") + 16, data.index(b"mdhd") + 16
    (ticks,) = struct.unpack_from(">I", data, scale)
    start = struct.unpack_from(">i", data, edit)[0] + 7 * ticks // 30
    struct.pack_into(">i", data, edit, start)
    path.write_bytes(data)
    source = opened(path)
    assert [number_in(frame) for frame in iter(source.read, None)] == list(range(7, COUNT))
    for index in (50, 3, 0, 20, COUNT - 8):
        frame = sought(source, index)
        assert (frame.index, number_in(frame)) == (index, index + 7)
    assert source.read() is None and not source.warnings


def test_a_gap_in_time_is_no_damage(tmp_path: Path) -> None:
    path = encode(tmp_path / "VP80.webm")
    data, at = bytearray(path.read_bytes()), 0
    for number in range(COUNT):
        block = struct.pack(">Bh", 0x81, round(1000 * number / 30))
        at = data.index(block, at) + 3
        if number >= COUNT // 2:
            struct.pack_into(">h", data, at - 2, round(1000 * number / 30) + 3000)
    struct.pack_into(">d", data, data.index(b"\x44\x89\x88") + 3, 7000.0)
    path.write_bytes(data)
    source = opened(path)
    announced = source.frame_count
    assert announced is not None and announced > COUNT + 50
    assert [number_in(frame) for frame in iter(source.read, None)] == list(range(COUNT))
    assert source.frame_count == COUNT
    for index in (COUNT - 1, 59, 60, 61):
        frame = sought(source, index)
        assert (frame.index, number_in(frame)) == (index, index)
    assert source.read() is not None and not source.warnings


def test_a_recording_held_upright_is_turned(tmp_path: Path) -> None:
    path = encode(tmp_path / "mp4v.mp4")
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    struct.pack_into(">9i", data, matrix, 0, 0x10000, 0, -0x10000, 0, 0, 48 << 16, 0, 0x40000000)
    plain = opened(path).read()
    path.write_bytes(data)
    source = opened(path)
    first, *_, again = source.read(), source.seek(0), source.read()
    assert plain is not None and first is not None and again is not None
    for frame in (first, again, sought(source, 30)):
        assert frame.rgb.shape == (8 * BITS, 48, 3) and frame.camera.size == (48, 8 * BITS)
    np.testing.assert_array_equal(first.rgb, np.rot90(plain.rgb, -1))


def test_a_clock_that_begins_anew_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "joined.ts"
    first = encode(tmp_path / "mp2v.ts").read_bytes()
    path.write_bytes(first + first)
    in_order = list(iter(opened(path).read, None))
    times = [frame.t_capture_s for frame in in_order]
    np.testing.assert_allclose(times, np.arange(2 * COUNT) / 30, atol=2e-3)
    source = opened(path)
    for index in (COUNT + 20, COUNT - 1, COUNT, 10, 2 * COUNT - 1, 0):
        frame = sought(source, index)
        assert (frame.index, number_in(frame), frame.t_capture_s) == (index, index % COUNT, times[index])
    assert source.frame_count == 2 * COUNT and not source.warnings


def test_a_picture_without_a_time_is_no_new_beginning() -> None:
    clock, told = _Clock(0.1), []
    for reported in (5.0, 5.1, 0.0, 5.3, 5.4, 0.0, 0.1, 0.2):
        clock.tell(reported)
        told.append(clock.t_s)
    # The last three are of another recording, whose first picture lies at zero.
    np.testing.assert_allclose(told, [5.0, 5.1, 0.0, 5.3, 5.4, 0.0, 5.6, 5.7])
    even = np.arange(1, 60) / 10
    assert not _restarts(even) and _restarts(np.concatenate([even, even]))


def test_a_name_with_a_colon_is_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode(tmp_path / "mp4v.mp4").rename(tmp_path / "12:30.mp4")
    monkeypatch.chdir(tmp_path)
    source = opened(Path("12:30.mp4"))
    assert number_in(sought(source, 70)) == 70 and number_in(sought(source, 0)) == 0
