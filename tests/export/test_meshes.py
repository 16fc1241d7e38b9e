from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handviz.errors import OutputError
from handviz.export.formats import exporting
from handviz.export.poses import PoseFrame, without_surfaces
from handviz.hand.model import HandModel

Moving = Callable[..., list[PoseFrame]]
UPRIGHT = np.array([1.0, -1.0, -1.0])


def export(path: Path, frames: list[PoseFrame], model: HandModel) -> None:
    with exporting(path, load_model=lambda name: model) as exporter:
        for frame in frames:
            exporter.write(frame)


def read_obj(path: Path) -> tuple[np.ndarray, np.ndarray]:
    rows = [line.split() for line in path.read_text().splitlines()]
    vertices = np.array([[float(word) for word in row[1:]] for row in rows if row[0] == "v"])
    return vertices, np.array([[int(word) for word in row[1:]] for row in rows if row[0] == "f"]) - 1


def read_ply(path: Path) -> tuple[np.ndarray, np.ndarray]:
    head, body = path.read_bytes().split(b"end_header\n", 1)
    words = head.split()
    vertices, faces = (int(words[words.index(kind) + 1]) for kind in (b"vertex", b"face"))
    points = [struct.unpack_from("<3fB", body, 13 * i)[:3] for i in range(vertices)]
    corners = [struct.unpack_from("<B3i", body, 13 * vertices + 13 * i) for i in range(faces)]
    assert all(corner[0] == 3 for corner in corners) and len(body) == 13 * (vertices + faces)
    return np.array(points), np.array(corners)[:, 1:]


@pytest.mark.parametrize(("suffix", "read"), [(".obj", read_obj), (".ply", read_ply)])
@pytest.mark.parametrize("rebuilt", [False, True])
@pytest.mark.parametrize("side", ["right", "left"])
def test_the_surface_comes_back(
    tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel, suffix: str, read: Callable[[Path], tuple[np.ndarray, np.ndarray]],
    rebuilt: bool, side: str,
) -> None:  # fmt: skip
    frame = moving_hand(count=3, side=side)[2]
    export(tmp_path / f"one{suffix}", [without_surfaces(frame) if rebuilt else frame], tiny_hand)
    vertices, faces = read(tmp_path / f"one{suffix}")
    surface = frame.hands[0].surface
    assert surface is not None
    np.testing.assert_allclose(vertices, surface.vertices_camera_m * UPRIGHT, atol=1e-6)
    np.testing.assert_array_equal(faces, surface.faces)


def test_more_frames_go_into_a_folder(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel) -> None:
    frames = moving_hand(count=4)
    frames[1] = replace(frames[1], hands=())
    frames[3] = replace(frames[3], hands=frames[3].hands * 2)
    export(tmp_path / "out.obj", frames, tiny_hand)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"frame_00000{i}.obj" for i in (0, 2, 3)]
    vertices, faces = read_obj(tmp_path / "out" / "frame_000003.obj")
    assert len(vertices) == 128 and faces.max() == 127


@pytest.mark.parametrize("suffix", [".obj", ".ply"])
def test_a_shorter_export_leaves_no_frames_of_a_longer_one(
    tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel, suffix: str
) -> None:
    frames = moving_hand(count=5)
    export(tmp_path / f"out{suffix}", frames, tiny_hand)
    for name in (f"frame_000009{suffix}", f"mine{suffix}", "notes.txt"):
        (tmp_path / "out" / name).write_text("somebody else's")
    export(tmp_path / f"out{suffix}", frames[:2], tiny_hand)
    kept = {path.name for path in (tmp_path / "out").iterdir()}
    ours = {f"frame_000000{suffix}", f"frame_000001{suffix}"}
    assert kept == ours | {f"frame_000009{suffix}", f"mine{suffix}", "notes.txt"}


def test_no_mesh_is_one_clear_error(tmp_path: Path, moving_hand: Moving, tiny_hand: HandModel) -> None:
    frames = [replace(frame, hands=(replace(frame.hands[0], params=None, surface=None),)) for frame in moving_hand(count=2)]
    with pytest.raises(OutputError, match="no hand has a mesh"):
        export(tmp_path / "out.ply", frames, tiny_hand)
