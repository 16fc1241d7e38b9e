from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from handviz.cli.main import main


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def process(source: Path, out: Path, *options: str) -> int:
    return main(["process", str(source), "--out", str(out), "--quiet", *options])


def test_every_frame_of_a_video_becomes_a_line_and_a_picture(numbered_video: Path, tmp_path: Path) -> None:
    out, video = tmp_path / "poses.jsonl", tmp_path / "seen.mp4"
    assert process(numbered_video, out, "--save-video", str(video)) == 0
    written = lines(out)
    assert [line["frame"] for line in written] == list(range(40))
    assert written[0].pop("K")[0] == pytest.approx([32 / np.tan(np.radians(30)), 0, 31.5], abs=0.01)
    assert written[0] == {"frame": 0, "source": None, "t_s": 0.0, "width": 64, "height": 48, "hands": []}
    capture = cv2.VideoCapture(str(video))
    assert int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == 40


def test_folder_names_its_pictures_and_reports_those_it_can_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.png", "c.png"):
        cv2.imwrite(str(folder / name), np.zeros((60, 80, 3), np.uint8))
    (folder / "b.png").write_bytes(b"broken")
    (folder / "d.HEIC").write_bytes(b"a phone's")
    out = tmp_path / "poses.jsonl"
    assert process(folder, out) == 1
    assert [line["source"] for line in lines(out)] == ["a.png", "c.png"]
    said = capsys.readouterr().err
    assert "b.png: not a readable picture" in said and "d.HEIC: not a readable picture" in said


def test_pictures_in_subfolders_are_told_and_cost_no_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for name in ("a.png", "more/b.png"):
        cv2.imwrite(str(folder / name), np.zeros((60, 80, 3), np.uint8))
    assert process(folder, tmp_path / "poses.jsonl") == 0
    assert "1 subfolder with pictures is not included" in capsys.readouterr().err
    assert process(folder / "a.png", tmp_path / "poses.jsonl") == 0
    assert "not included" not in capsys.readouterr().err


def test_several_pictures_are_as_a_folder_of_just_these(
    numbered_video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((60, 80, 3), np.uint8))
    out, none = tmp_path / "poses.jsonl", tmp_path / "no.jsonl"

    def of_both(second: Path, out: Path) -> int:
        return main(["process", str(tmp_path / "c.png"), str(second), "--out", str(out), "--quiet"])

    assert of_both(tmp_path / "a.png", out) == 0
    assert [line["source"] for line in lines(out)] == ["c.png", "a.png"]
    # None of them is overwritten, and a video is not a picture.
    assert of_both(tmp_path / "a.png", tmp_path / "a.png") == 1
    assert of_both(tmp_path / "c.png", none) == 1
    assert "c.png: two pictures have this name" in capsys.readouterr().err
    assert of_both(numbered_video, none) == 1
    assert f"{numbered_video.name}: several sources at once must all be pictures" in capsys.readouterr().err
    assert not none.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--estimator", "magic"], "unknown estimator 'magic'"),
        (["--intrinsics", "missing.json"], "missing.json"),
        (["--hand-model", "nobody"], "nobody"),
    ],
)
def test_wrong_choices_are_told(
    numbered_video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert process(numbered_video, tmp_path / "o.jsonl", *options) == 1
    told = capsys.readouterr().err
    assert message in told and "done" not in told


def test_options_that_change_nothing_are_told(numbered_video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--refine-iterations", "20", "--hand-model", "default")
    always = {"--refine-iterations", "--device"}
    for estimator, idle in (("mediapipe", {*always, "--hand-model"}), ("fit", always)):
        assert process(numbered_video, tmp_path / "o.jsonl", *options, "--device", "cuda", "--estimator", estimator) == 0
        told = capsys.readouterr().err
        assert {option for option in (*options, "--device") if f"{option} has no effect with '{estimator}'" in told} == idle
    assert process(numbered_video, tmp_path / "o.jsonl", *options, "--estimator", "auto") == 0
    assert "changes nothing" not in capsys.readouterr().err


def test_meshes_of_an_estimator_without_any_are_refused_first(
    numbered_video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert process(numbered_video, tmp_path / "o.jsonl", "--meshes", str(tmp_path / "meshes"), "--estimator", "mediapipe") == 1
    told = capsys.readouterr().err
    assert "'mediapipe' gives no meshes" in told and "done" not in told
    assert not (tmp_path / "meshes").exists() and not (tmp_path / "o.jsonl").exists()


def test_intrinsics_of_the_wrong_shape_are_told(numbered_video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "camera.json"
    wrong.write_text(json.dumps({"K": [[1, 0], [0, 1]], "width": 64, "height": 48}))
    assert process(numbered_video, tmp_path / "o.jsonl", "--intrinsics", str(wrong)) == 1
    assert "camera.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["--save-video", "seen.avi"],
        ["--save-video", "no/such.mp4"],
        ["--save-video", "folder.mp4"],
        ["--meshes", "numbered.mp4"],
        ["--hand-model", "nosuch"],
        ["--estimator", "nosuch"],
        ["--intrinsics", "nosuch.json"],
        ["--weights", "nosuch.safetensors"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_wrong_option_costs_no_former_result(
    numbered_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], suffix: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.mp4").mkdir()
    keep = tmp_path / f"keep.{suffix}"
    keep.write_text("former results")
    assert process(numbered_video, keep, *options) == 1
    assert keep.read_text() == "former results"


@pytest.mark.parametrize("name", ["numbered.mp4", "link.mp4", "folder/../numbered.mp4"])
def test_a_video_is_never_written_over_itself(
    numbered_video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.mp4").hardlink_to(numbered_video)
    before = numbered_video.read_bytes()
    assert process(numbered_video, tmp_path / "o.jsonl", "--save-video", str(tmp_path / name)) == 1
    assert "is the file being read" in capsys.readouterr().err
    assert numbered_video.read_bytes() == before and not (tmp_path / "o.jsonl").exists()


def test_neither_a_picture_nor_a_camera_file_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(pictures / name), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "out.jsonl").hardlink_to(pictures / "b.png")
    np.savez(tmp_path / "camera.npz", K=np.eye(3))
    before = (tmp_path / "camera.npz").read_bytes()
    assert process(pictures, tmp_path / "out.jsonl") == 1
    assert process(pictures, tmp_path / "camera.npz", "--intrinsics", str(tmp_path / "camera.npz")) == 1
    assert capsys.readouterr().err.count("is the file being read") == 2
    assert cv2.imread(str(pictures / "b.png")) is not None and (tmp_path / "camera.npz").read_bytes() == before


def test_what_was_not_written_is_not_said_to_be(numbered_video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "o.npz").mkdir()
    assert process(numbered_video, tmp_path / "o.npz") == 1
    assert "written to" not in capsys.readouterr().err
    assert process(numbered_video, tmp_path / "o.bvh") == 1
    told = capsys.readouterr().err
    assert "no frame has a hand" in told and "40 frames, hands in 0, nothing written" in told


@pytest.mark.parametrize(
    "options", [["--fov", "200"], ["--max-hands", "0"], ["--refine-iterations", "101"], ["--smoothing", "x"]]
)
def test_options_out_of_range_are_refused(numbered_video: Path, tmp_path: Path, options: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        process(numbered_video, tmp_path / "o.jsonl", *options)
    assert refused.value.code == 2


def test_sources_that_do_not_exist_or_are_cameras_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert process(tmp_path / "gone.mp4", tmp_path / "o.jsonl") == 1
    assert "gone.mp4: no such file" in capsys.readouterr().err
    assert main(["process", "0", "--out", str(tmp_path / "o.jsonl")]) == 1
    assert "takes a video" in capsys.readouterr().err


def test_unwritable_output_is_told(numbered_video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert process(numbered_video, tmp_path / "no" / "such" / "o.jsonl") == 1
    assert "o.jsonl" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_full_disk_is_told(numbered_video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert process(numbered_video, Path("/dev/full")) == 1
    assert "/dev/full" in capsys.readouterr().err


def test_video_cut_short_keeps_what_was_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30, (64, 48))
    for level in range(60):
        writer.write(np.full((48, 64, 3), 4 * level, np.uint8))
    writer.release()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "o.jsonl"
    assert process(path, out) == 1
    assert "cut short" in capsys.readouterr().err
    assert 10 < len(lines(out)) < 60


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent as a POSIX signal")
def test_ctrl_c_leaves_valid_lines_and_a_video_that_plays(tmp_path: Path) -> None:
    long = tmp_path / "long.avi"
    writer = cv2.VideoWriter(str(long), cv2.VideoWriter_fourcc(*"MJPG"), 30, (320, 240))
    for _ in range(600):
        writer.write(np.zeros((240, 320, 3), np.uint8))
    writer.release()
    out, video = tmp_path / "o.jsonl", tmp_path / "seen.mp4"
    command = [sys.executable, "-m", "handviz", "process", str(long), "--out", str(out), "--save-video", str(video)]
    # A test suite that runs in the background ignores Ctrl-C, and so would the processes it starts.
    listens = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=listens)
    end = time.monotonic() + 60
    while time.monotonic() < end and not (out.exists() and out.stat().st_size > 2000):
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "stopped" in told and "Traceback" not in told
    count = len(lines(out))
    assert 5 < count < 600
    capture = cv2.VideoCapture(str(video))
    played = 0
    while capture.read()[0]:
        played += 1
    assert abs(played - count) <= 1
