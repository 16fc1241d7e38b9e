"""OBJ and PLY: the surfaces of each frame, in metres, +y up (the camera's frame rotated by 180 degrees about x).

A recording of one frame is one file; more frames go into a folder of that name, ``frame_000012.obj`` for frame 12.
Frames without a mesh have no file; frames of an earlier export in the folder are removed when a new one is finished.
A left hand is mirrored geometry with its triangles' winding reversed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from handviz.errors import OutputError
from handviz.export.files import clear_former, whole_file
from handviz.export.poses import LoadModel, PoseFrame, PoseHand, Surface
from handviz.hand.mirror import needs_mirror

NamedSurface = tuple[str, Surface]
# In the first lines of every file written here.
OUR_MARK = "metres, +y up"


def surface_of(hand: PoseHand, load_model: LoadModel) -> Surface | None:
    """Return the hand's surface in the camera's frame: the one that was shown, or else rebuilt from its parameters."""
    if hand.surface is not None or hand.params is None:
        return hand.surface
    from handviz.fit.rig import placed_mesh, rig_of  # loads compiled code

    mesh = placed_mesh(rig_of(load_model(hand.params.hand_model)), hand.params, mirrored=needs_mirror(hand.side))
    return Surface(vertices_camera_m=mesh.vertices_camera_m, faces=mesh.faces)


class MeshWriter:
    """Writes one file for each frame with a mesh, with its format's function ``encode``."""

    def __init__(self, path: Path, encode: Callable[[list[NamedSurface]], bytes], load_model: LoadModel) -> None:
        self._path, self._encode, self._load_model = path, encode, load_model
        self._first: tuple[int, list[NamedSurface]] | None = None
        self._frames = 0
        self._names: set[str] = set()
        self._closed = False
        self.written: tuple[Path, ...] = ()

    def write(self, frame: PoseFrame) -> None:
        """Write the surfaces of one frame; the first is held back until it is known whether it is the only one."""
        self._frames += 1
        if self._first is not None and self._frames == 2:
            self._put_in_folder(*self._first)
        found = [(f"{hand.side}_hand_{hand.track_id}", surface_of(hand, self._load_model)) for hand in frame.hands]
        surfaces = [(name, surface) for name, surface in found if surface is not None]
        if not surfaces:
            return
        if self._frames == 1:
            self._first = (frame.index, surfaces)
        else:
            self._put_in_folder(frame.index, surfaces)

    def close(self) -> None:
        """Finish; closing twice does nothing. Raises OutputError when no frame had a mesh."""
        if self._closed:
            return
        self._closed = True
        if self._first is not None and self._frames == 1:
            self._put(self._path, self._first[1])
            self.written = (self._path,)
        if not self.written:
            raise OutputError(f"{self._path} was not written: no hand has a mesh. Choose an estimator that gives one.")
        if self._names:
            clear_former(self._path.with_suffix(""), f"frame_*{self._path.suffix}", self._names, OUR_MARK)

    def _put_in_folder(self, index: int, surfaces: list[NamedSurface]) -> None:
        folder = self._path.with_suffix("")
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"The folder {folder} cannot be created: {error.strerror}. Choose another name.") from error
        name = f"frame_{index:06d}{self._path.suffix}"
        self._put(folder / name, surfaces)
        self._names.add(name)
        self.written = (folder,)

    def _put(self, path: Path, surfaces: list[NamedSurface]) -> None:
        with whole_file(path) as file:
            file.write(self._encode(surfaces))


def obj_bytes(surfaces: list[NamedSurface]) -> bytes:
    """Return an OBJ file with one object per hand."""
    lines = ["# metres, +y up"]
    start = 1
    for name, surface in surfaces:
        lines.append(f"o {name}")
        lines += ["v %.6f %.6f %.6f" % tuple(vertex) for vertex in _upright(surface)]  # noqa: UP031
        lines += ["f %d %d %d" % tuple(face) for face in surface.faces + start]  # noqa: UP031
        start += len(surface.vertices_camera_m)
    return ("\n".join(lines) + "\n").encode()


def ply_bytes(surfaces: list[NamedSurface]) -> bytes:
    """Return a binary PLY file of all hands; the vertex property ``hand`` is the number of the hand."""
    sizes = [len(surface.vertices_camera_m) for _, surface in surfaces]
    starts = np.cumsum([0, *sizes])
    vertices = np.zeros(starts[-1], [("xyz", "<f4", 3), ("hand", "u1")])
    vertices["xyz"] = np.concatenate([_upright(surface) for _, surface in surfaces])
    vertices["hand"] = np.repeat(np.arange(len(sizes)), sizes)
    corners = np.concatenate([surface.faces + start for (_, surface), start in zip(surfaces, starts, strict=False)])
    faces = np.zeros(len(corners), [("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, corners
    header = [
        *("ply", "format binary_little_endian 1.0", "comment metres, +y up"),
        *(f"comment hand {number} is {name}" for number, (name, _) in enumerate(surfaces)),
        *(f"element vertex {len(vertices)}", "property float x", "property float y", "property float z", "property uchar hand"),
        *(f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header"),
    ]
    return ("\n".join(header) + "\n").encode() + vertices.tobytes() + faces.tobytes()


def _upright(surface: Surface) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(surface.vertices_camera_m, np.float64) * [1.0, -1.0, -1.0]
