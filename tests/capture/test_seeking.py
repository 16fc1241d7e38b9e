"""Seeking shows the frame that reading in order has under the same number, however frames are spaced in time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from handviz.capture import video
from handviz.capture.base import CameraChoice
from handviz.capture.timeline import Timeline, read_timeline
from handviz.capture.video import VideoSource
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
    """White stripes are the ones of its number."""
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
    with pytest.raises(SourceError, match="can not be read any more"):
        source.seek(0)
