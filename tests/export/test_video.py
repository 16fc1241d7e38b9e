from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from handviz.errors import OutputError
from handviz.export.jsonl import read_jsonl
from handviz.export.mp4 import Mp4Writer
from handviz.export.video import VideoRecorder, VideoWriter
from handviz.records import FrameResult

Make = Callable[..., FrameResult]
Limit = Callable[[int], AbstractContextManager[None]]


def grey(level: int) -> np.ndarray:
    return np.full((48, 64, 3), level, np.uint8)


def read_video(path: Path) -> tuple[list[float], list[float]]:
    """Return each picture's mean brightness and its time in seconds, read by OpenCV's own demuxer."""
    capture = cv2.VideoCapture(str(path))
    levels, times = [], []
    while True:
        good, bgr = capture.read()
        if not good:
            break
        levels.append(float(bgr.mean()))
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    capture.release()
    return levels, times


def test_pictures_and_true_times_come_back(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    times = [10.0, 10.1, 10.15, 10.9, 11.0, 12.5, 12.6]
    with VideoWriter(path) as video:
        for i, t_s in enumerate(times):
            video.write(grey(i * 30), t_s)
        assert video.length_s == pytest.approx(2.6)
    levels, shown = read_video(path)
    np.testing.assert_allclose(levels, [i * 30 for i in range(7)], atol=3)
    np.testing.assert_allclose(shown, np.array(times) - 10, atol=1e-3)


def test_a_finished_file_is_indexed_for_seeking(tmp_path: Path) -> None:
    path = tmp_path / "out.mov"
    with VideoWriter(path) as video:
        for i in range(60):
            video.write(grey(i * 4), i / 30)
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 60
    capture.set(cv2.CAP_PROP_POS_FRAMES, 41)
    assert capture.read()[1].mean() == pytest.approx(164, abs=3)
    capture.release()


def test_colours_and_odd_sizes(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    red = np.zeros((37, 51, 3), np.uint8)
    red[..., 0] = 200
    with VideoWriter(path) as video:
        video.write(red, 0.0)
        video.write(np.full((100, 51, 3), 255, np.uint8), 0.1)  # another size is fitted in
    capture = cv2.VideoCapture(str(path))
    first, second = capture.read()[1], capture.read()[1]
    capture.release()
    assert first.shape == (37, 51, 3)
    np.testing.assert_allclose(first.mean((0, 1)), [0, 0, 200], atol=6)
    assert second[18, 25].min() > 240 and second[18, 2].max() < 20


def test_time_that_stands_still_keeps_every_picture(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(path) as video:
        for i in range(5):
            video.write(grey(i * 40), 1.0)
    assert len(read_video(path)[0]) == 5


@pytest.mark.parametrize("leap_s", [-0.5, 14 * 3600.0])
def test_time_goes_on_from_where_it_goes_back_or_leaps_too_far(tmp_path: Path, leap_s: float) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(path) as video:
        for i in range(20):
            video.write(grey(i * 10), i / 30 + (leap_s if i >= 10 else 0.0))
    levels, times = read_video(path)
    assert len(levels) == 20
    np.testing.assert_allclose(np.diff(times)[10:], 1 / 30, atol=1e-3)


def test_a_recording_longer_than_its_header_can_tell_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(path) as video:
        for i in range(5):
            video.write(grey(i * 40), i * 5 * 3600.0)
    assert len(read_video(path)[0]) == 5


def test_no_picture_and_one_picture(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "none.mp4"):
        pass
    assert not (tmp_path / "none.mp4").exists()
    with VideoWriter(tmp_path / "one.mp4") as video:
        video.write(grey(80), 5.0)
    assert len(read_video(tmp_path / "one.mp4")[0]) == 1


KILLED = """
import os, sys, numpy as np
from handviz.export.video import VideoWriter
video = VideoWriter(sys.argv[1])
for i in range(100):
    video.write(np.full((48, 64, 3), i * 2, np.uint8), i / 30)
os._exit(9)  # nothing is closed or flushed, as when the process is killed
"""


def test_a_killed_recording_plays_and_lost_less_than_a_second(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == 9
    levels, _ = read_video(path)
    assert 100 - len(levels) < 30
    np.testing.assert_allclose(levels, [i * 2 for i in range(len(levels))], atol=3)


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_full_disk_keeps_a_playable_file(tmp_path: Path, file_size_limit: Limit) -> None:
    path = tmp_path / "out.mp4"
    video = VideoWriter(path)
    with file_size_limit(40_000), pytest.raises(OutputError, match="are kept"):
        for i in range(1000):
            video.write(grey(i % 200), i / 30)
    video.close()
    levels, _ = read_video(path)
    assert 15 <= len(levels) <= i and i - len(levels) <= 30
    np.testing.assert_allclose(levels, np.arange(len(levels)) % 200, atol=3)


def test_a_path_that_can_not_be_written(tmp_path: Path) -> None:
    for name in ("missing/out.mp4", "out.avi", "out"):
        with pytest.raises(OutputError):
            VideoWriter(tmp_path / name)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        VideoWriter(tmp_path / "folder.mp4")


def test_recorder_writes_video_and_poses_in_step(tmp_path: Path, make: Make) -> None:
    recorder = VideoRecorder(tmp_path / "live.mp4")
    taken = sum(recorder.write(make(i)) for i in range(3, 40, 2))
    recorder.close()
    levels, times = read_video(tmp_path / "live.mp4")
    poses = list(read_jsonl(tmp_path / "live.jsonl"))
    assert len(levels) == len(poses) == recorder.frames == taken
    assert [pose.index for pose in poses] == list(range(len(poses)))
    np.testing.assert_allclose([pose.t_s for pose in poses], times, atol=1e-3)
    assert recorder.length_s == pytest.approx(times[-1], abs=1e-3)


def gated_drawing() -> tuple[threading.Event, Callable[[FrameResult], np.ndarray]]:
    """A drawing that waits for an event."""
    gate = threading.Event()

    def slow(result: FrameResult) -> np.ndarray:
        assert gate.wait(20)
        return result.frame.rgb

    return gate, slow


def test_recorder_drops_and_never_waits_when_drawing_is_slow(tmp_path: Path, make: Make) -> None:
    gate, slow = gated_drawing()
    recorder = VideoRecorder(tmp_path / "live.mp4")
    taken = sum(recorder.write(make(i), slow) for i in range(50))
    assert recorder.dropped == 50 - taken > 0
    gate.set()
    recorder.close()
    assert recorder.frames == taken


@pytest.mark.parametrize("shift_s", [-30 / 30, 5.0, 14 * 3600.0], ids=["back", "sought", "another clock"])
def test_recorder_goes_on_evenly_whatever_the_source_s_time_does(tmp_path: Path, make: Make, shift_s: float) -> None:
    recorder = VideoRecorder(tmp_path / "live.mp4")
    for i in range(60):
        result = make(i)
        shifted = replace(result.frame, t_capture_s=result.frame.t_capture_s + (shift_s if i >= 30 else 0.0))
        assert recorder.write(replace(result, frame=shifted))
        while recorder.frames <= i and recorder.error is None:
            threading.Event().wait(0.005)
    recorder.close()
    times = read_video(tmp_path / "live.mp4")[1]
    poses = [pose.t_s for pose in read_jsonl(tmp_path / "live.jsonl")]
    np.testing.assert_allclose(poses, np.arange(60) / 30, atol=1e-3)
    np.testing.assert_allclose(times, poses, atol=1e-3)


def test_what_is_dropped_takes_its_time_in_the_recording(tmp_path: Path, make: Make) -> None:
    gate, slow = gated_drawing()
    recorder = VideoRecorder(tmp_path / "live.mp4")
    taken = [i for i in range(100) if recorder.write(make(i), slow)]
    gate.set()
    while not recorder.write(make(100)):
        threading.Event().wait(0.005)
    recorder.close()
    poses = [pose.t_s for pose in read_jsonl(tmp_path / "live.jsonl")]
    assert poses[-1] > 100 / 30 - 1e-3 and len(poses) == len(taken) + 1 < 100


def test_recorder_tells_what_no_one_expected_and_keeps_what_was_written(tmp_path: Path, make: Make) -> None:
    def broken(result: FrameResult) -> np.ndarray:
        raise RuntimeError("no font")

    recorder = VideoRecorder(tmp_path / "live.mp4")
    for i in range(5):
        recorder.write(make(i))
    recorder.write(make(5), broken)
    with pytest.raises(OutputError, match=r"live\.mp4: recording failed after 5 pictures .*no font.* kept"):
        recorder.close()
    assert len(read_video(tmp_path / "live.mp4")[0]) == len(list(read_jsonl(tmp_path / "live.jsonl"))) == 5


def test_recorder_that_can_not_finish_its_files_says_so_and_ends(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(writer: Mp4Writer) -> None:
        raise OutputError("live.mp4 could not be finished: no room")

    monkeypatch.setattr(Mp4Writer, "_make_ordinary", full)
    recorder = VideoRecorder(tmp_path / "live.mp4")
    for i in range(5):
        recorder.write(make(i))
    told: list[str] = []

    def close() -> None:
        try:
            recorder.close()
        except OutputError as error:
            told.append(str(error))

    closing = threading.Thread(target=close, daemon=True)
    closing.start()
    closing.join(60)
    assert told == ["live.mp4 could not be finished: no room"]
    assert len(read_video(tmp_path / "live.mp4")[0]) == len(list(read_jsonl(tmp_path / "live.jsonl"))) == 5


def test_a_recording_without_a_picture_leaves_both_files_as_they_were(tmp_path: Path, make: Make) -> None:
    paths = [tmp_path / "live.mp4", tmp_path / "live.jsonl"]
    for path in paths:
        path.write_bytes(b"what was there")
    VideoRecorder(paths[0]).close()
    assert [path.read_bytes() for path in paths] == [b"what was there"] * 2
    recorder = VideoRecorder(paths[0])
    recorder.write(make(0))
    recorder.close()
    assert len(read_video(paths[0])[0]) == len(list(read_jsonl(paths[1]))) == 1


@pytest.mark.parametrize("folder", ["live.mp4", "live.jsonl"])
def test_recorder_refuses_a_folder_s_name_before_it_begins(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    with pytest.raises(OutputError, match=f"{folder} cannot be written: it is a folder"):
        VideoRecorder(tmp_path / "live.mp4")


@pytest.mark.parametrize("name", ["live.mp4", "live.jsonl"])
def test_recorder_refuses_a_file_that_is_read_by_any_name(tmp_path: Path, name: str) -> None:
    source = tmp_path / "source.mov"
    source.write_bytes(b"precious")
    (tmp_path / name).hardlink_to(source)
    with pytest.raises(OutputError, match=f"{name} is the file being read"):
        VideoRecorder(tmp_path / "live.mp4", (None, source))


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_recorder_reports_a_full_disk_and_keeps_what_was_written(tmp_path: Path, make: Make, file_size_limit: Limit) -> None:
    recorder = VideoRecorder(tmp_path / "live.mp4")
    with file_size_limit(60_000):
        for i in range(400):
            recorder.write(make(i))
            if recorder.error is not None:
                break
            threading.Event().wait(0.002)
    assert recorder.error is not None and not recorder.write(make(0))
    with pytest.raises(OutputError, match="kept"):
        recorder.close()
    assert len(read_video(tmp_path / "live.mp4")[0]) > 0
    assert len(list(read_jsonl(tmp_path / "live.jsonl"))) > 0
