from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handviz.errors import OutputError, SourceError
from handviz.export.jsonl import JsonlWriter, read_jsonl, to_json
from handviz.hand.hand_file import hand_digest, hand_file_bytes, read_hand_file
from handviz.hand.library import hand_path
from handviz.records import FrameResult

Make = Callable[..., FrameResult]
Limit = Callable[[int], AbstractContextManager[None]]


def write(path: Path, *results: FrameResult) -> None:
    with JsonlWriter(path) as writer:
        for result in results:
            writer.write(result)


def test_a_line_has_the_documented_keys_and_rounding(tmp_path: Path, make: Make) -> None:
    path = tmp_path / "out.jsonl"
    write(path, make(4))
    entry = json.loads(path.read_text())
    assert list(entry) == ["frame", "source", "t_s", "width", "height", "K", "hands"]
    assert (entry["frame"], entry["source"], entry["width"], entry["height"]) == (4, "a.png", 64, 48)
    hand = entry["hands"][0]
    assert list(hand) == ["track_id", "side", "score", "box_xyxy_px", "joints_px", "joints_camera_m", "confidence", "mesh"]
    assert hand["box_xyxy_px"] == [1.0, 2.0, 30.12, 40.0]
    assert hand["mesh"] is None
    assert np.shape(hand["joints_px"]) == (21, 2) and np.shape(hand["joints_camera_m"]) == (21, 3)


def test_what_is_read_is_what_was_written(tmp_path: Path, make: Make) -> None:
    path = tmp_path / "out.jsonl"
    results = [make(i, mesh=i == 1, side="left") for i in range(3)]
    write(path, *results)
    frames = list(read_jsonl(path))
    assert [frame.index for frame in frames] == [0, 1, 2]
    for frame, result in zip(frames, results, strict=True):
        hand, before = frame.hands[0], result.hands[0]
        assert hand.side == "left" and frame.K is not None
        np.testing.assert_allclose(frame.K, result.frame.camera.K, atol=6e-3)
        np.testing.assert_allclose(hand.joints.joints_camera_m, before.joints.joints_camera_m, atol=6e-6)
        np.testing.assert_allclose(hand.joints.joints_px, before.joints.joints_px, atol=6e-3)
    params, mesh = frames[1].hands[0].params, results[1].hands[0].mesh
    assert params is not None and mesh is not None
    np.testing.assert_allclose(params.pose, mesh.params.pose, atol=6e-6)
    np.testing.assert_array_equal(frames[1].hands[0].groups, np.arange(21) % 3)
    assert frames[0].hands[0].params is None and frames[0].hands[0].groups is None


def test_a_mesh_tells_its_hand_model_by_more_than_a_name(tmp_path: Path, make: Make) -> None:
    path, other = tmp_path / "out.jsonl", tmp_path / "other.npz"
    write(path, make(mesh=True))
    digest = hand_digest(hand_path("default"))
    assert json.loads(path.read_text())["hands"][0]["mesh"]["hand_digest"] == digest
    (frame,) = read_jsonl(path)
    assert frame.hands[0].hand_digest == digest
    # Files of earlier versions lack it, and it is not invented when they are written again.
    path.write_text(path.read_text().replace(f', "hand_digest": "{digest}"', ""))
    (frame,) = read_jsonl(path)
    assert frame.hands[0].hand_digest is None and "hand_digest" not in json.dumps(to_json(frame))
    arrays = read_hand_file(hand_path("default"))
    other.write_bytes(hand_file_bytes(arrays))
    assert hand_digest(other) == digest
    other.write_bytes(hand_file_bytes(replace(arrays, template_V3=arrays.template_V3 + np.float32(1e-4))))
    assert hand_digest(other) != digest


def test_nan_is_null_in_its_place(tmp_path: Path, make: Make) -> None:
    path = tmp_path / "out.jsonl"
    write(path, make(nan_joint=8))
    assert "NaN" not in path.read_text()
    hand = json.loads(path.read_text())["hands"][0]
    assert hand["joints_px"][8] == [None, None] and hand["joints_camera_m"][8] == [None, None, None]
    (frame,) = read_jsonl(path)
    assert np.isnan(frame.hands[0].joints.joints_camera_m).sum() == 3


def test_every_line_is_there_before_the_file_is_closed(tmp_path: Path, make: Make) -> None:
    path = tmp_path / "out.jsonl"
    writer = JsonlWriter(path)
    writer.write(make(0))
    assert len(list(read_jsonl(path))) == 1
    writer.close()
    writer.close()


def test_unwritable_path_is_one_clear_error(tmp_path: Path, make: Make) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        JsonlWriter(tmp_path / "missing" / "out.jsonl")


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_full_disk_keeps_whole_lines(tmp_path: Path, make: Make, file_size_limit: Limit) -> None:
    # A limit on the file's size stands in for a full disk: writing a later line breaks off half way.
    path = tmp_path / "out.jsonl"
    write(path, make())
    with file_size_limit(int(path.stat().st_size * 2.5)), pytest.raises(OutputError, match="2 frames before that are kept"):
        write(path, *[make() for _ in range(9)])
    assert path.read_bytes().endswith(b"\n")
    assert len(list(read_jsonl(path))) == 2


def test_a_line_without_its_end_is_left_out(tmp_path: Path, make: Make) -> None:
    path = tmp_path / "out.jsonl"
    write(path, make(0), make(1))
    path.write_bytes(path.read_bytes()[:-50])
    assert len(list(read_jsonl(path))) == 1


def test_a_last_line_that_only_lacks_its_end_counts(tmp_path: Path, make: Make) -> None:
    path = tmp_path / "out.jsonl"
    write(path, make(0), make(1))
    path.write_bytes(path.read_bytes().rstrip())
    assert len(list(read_jsonl(path))) == 2


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("frame", "Infinity"),
        ("frame", "1.5"),
        ("frame", '"3"'),
        ("width", "9" * 30),
        ("t_s", "NaN"),
        ("t_s", "null"),
        ("t_s", "1e999"),
        ("source", "7"),
        ("hands", "{}"),
        ("hands.0.score", "Infinity"),
        ("hands.0.track_id", "true"),
        ("hands.0.joints_camera_m.4.1", "-Infinity"),
        ("hands.0.joints_px.0.0", '"5"'),
        ("hands.0.confidence", "[1, 2]"),
        ("hands.0.groups.3", "null"),
        ("hands.0.mesh.pose.0", "null"),
        ("hands.0.mesh.global.scale", "null"),
        ("hands.0.mesh.global.translation_m.2", "1e300"),
        ("hands.0.mesh.hand_model", "null"),
        ("hands.0.mesh.silhouette_iou", "NaN"),
    ],
)
def test_a_number_that_can_not_be_is_told_with_its_line(tmp_path: Path, make: Make, place: str, value: str) -> None:
    path = tmp_path / "wrong.jsonl"
    write(path, make(0, mesh=True), make(1, mesh=True))
    good, bad = (json.loads(line) for line in path.read_text().splitlines())
    *way, last = [int(key) if key.isdigit() else key for key in place.split(".")]
    inner = bad
    for key in way:
        inner = inner[key]
    inner[last] = "@"
    path.write_text(json.dumps(good) + "\n" + json.dumps(bad).replace('"@"', value) + "\n")
    named = str([key for key in (*way, last) if isinstance(key, str)][-1])
    with pytest.raises(SourceError, match=rf"wrong\.jsonl, line 2, is not a frame of hands: {named}"):
        list(read_jsonl(path))


@pytest.mark.parametrize(
    "line", ["no json", "[1, 2]", "{}", '{"frame": 0, "source": null, "t_s": 0, "width": 1, "height": 1, "hands": [{}]}']
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "wrong.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(SourceError, match="line 1"):
        list(read_jsonl(path))


def test_a_missing_file_is_one_clear_error(tmp_path: Path, make: Make) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        list(read_jsonl(tmp_path / "none.jsonl"))
