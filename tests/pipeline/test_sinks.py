"""What ``handviz process`` writes in addition to the poses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handviz.errors import OutputError
from handviz.geometry.camera import camera_from_fov
from handviz.pipeline.offline import Sink
from handviz.pipeline.sinks import AnnotatedVideo, MeshFolder, PoseFile
from handviz.records import Frame, FrameResult, HandEstimate, HandJoints, HandMesh, HandParams


def result(index: int, name: str | None) -> FrameResult:
    """A frame with one hand, whose mesh is a triangle at this many metres."""
    params = HandParams(pose=np.zeros(45), shape=np.zeros(10), root_rotation=np.zeros(3), translation_m=np.array([0.0, 0.0, 0.5]))
    corners = np.array([[0, 0, index + 1.0], [1, 0, index + 1.0], [0, 1, index + 1.0]])
    hand = HandEstimate(
        track_id=0,
        side="left",
        score=1.0,
        box_xyxy_px=np.array([0.0, 0, 9, 9]),
        joints=HandJoints(joints_camera_m=np.ones((21, 3)), joints_px=np.ones((21, 2)), confidence=np.ones(21)),
        mesh=HandMesh(vertices_camera_m=corners, faces=np.array([[0, 1, 2]]), params=params),
    )
    frame = Frame(
        index=index,
        t_capture_s=0.0,
        t_arrival_s=0.0,
        rgb=np.zeros((8, 8, 3), np.uint8),
        camera=camera_from_fov(8, 8),
        name=name,
    )
    return FrameResult(frame=frame, hands=(hand,), timings_ms={}, dropped=0, estimator="dense")


def test_each_picture_has_its_own_mesh_file(tmp_path: Path) -> None:
    sink = MeshFolder(tmp_path)
    for index, name in enumerate(("a.jpg", "a.png", "b.png", "a.png.jpg", "a.jpg")):
        sink.write(result(index, name))
    sink.close()
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert set(written) == {f"{name}_hand0_left.obj" for name in ("a", "a.png", "b", "a.png.jpg")}
    assert len(set(written.values())) == 4


def test_frames_of_a_video_are_numbered(tmp_path: Path) -> None:
    sink = MeshFolder(tmp_path)
    sink.write(result(3, None))
    sink.close()
    assert [path.name for path in tmp_path.iterdir()] == ["000003_hand0_left.obj"]


@pytest.mark.parametrize(("sink", "name"), [(PoseFile, "a.jsonl"), (PoseFile, "a.csv"), (AnnotatedVideo, "a.mp4")])
def test_nothing_is_lost_before_the_first_result(tmp_path: Path, sink: type[PoseFile | AnnotatedVideo], name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"what was there")
    sink(path).close()
    assert path.read_bytes() == b"what was there"
    begun = sink(path)
    assert begun.written == ()
    begun.write(result(0, None))
    begun.close()
    assert path.read_bytes() != b"what was there" and begun.written == (path,)


@pytest.mark.parametrize(("sink", "name"), [(PoseFile, "a.jsonl"), (AnnotatedVideo, "a.mp4")])
def test_the_file_that_is_read_is_never_written_over(tmp_path: Path, sink: Callable[[Path], Sink], name: str) -> None:
    source, link = tmp_path / name, tmp_path / f"link_{name}"
    source.write_bytes(b"a recording")
    link.hardlink_to(source)
    first = result(0, None)
    first = replace(first, frame=replace(first.frame, path=source))
    for path in (source, link):
        refusing = sink(path)
        with pytest.raises(OutputError, match="is the file being read"):
            refusing.write(first)
        refusing.close()
    assert source.read_bytes() == b"a recording"


@pytest.mark.parametrize(("sink", "name"), [(PoseFile, "a.npz"), (AnnotatedVideo, "a.mp4")])
def test_a_folder_is_refused_at_once(tmp_path: Path, sink: Callable[[Path], Sink], name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        sink(tmp_path / name)


def test_pictures_without_hands_have_no_meshes_and_that_is_no_error(tmp_path: Path) -> None:
    sink = MeshFolder(tmp_path)
    sink.write(replace(result(0, "a.png"), hands=()))
    sink.close()
    assert not list(tmp_path.iterdir())


def test_hands_without_meshes_are_told(tmp_path: Path) -> None:
    sink, given = MeshFolder(tmp_path), result(0, "a.png")
    sink.write(replace(given, hands=(replace(given.hands[0], mesh=None),)))
    with pytest.raises(OutputError, match="no hand has one"):
        sink.close()


def test_meshes_of_a_former_run_are_taken_away_and_nothing_else(tmp_path: Path) -> None:
    for count in (3, 1):
        sink = MeshFolder(tmp_path)
        for index in range(count):
            sink.write(result(index, None))
        (tmp_path / "my_hand0_left.obj").write_text("# mine")
        sink.close()
    assert {path.name for path in tmp_path.iterdir()} == {"000000_hand0_left.obj", "my_hand0_left.obj"}
    other = MeshFolder(tmp_path)
    other.write(result(0, "my.png"))
    other.close()
    assert {path.name for path in tmp_path.glob("0*")} == {"000000_hand0_left.obj"}, "another source's meshes stay"
    (tmp_path / "my_hand0_left.obj").unlink()
    (tmp_path / "my_hand0_left.obj").write_text("# mine")
    MeshFolder(tmp_path).close()
    assert len(list(tmp_path.iterdir())) == 2, "a run of which nothing came costs nothing"
