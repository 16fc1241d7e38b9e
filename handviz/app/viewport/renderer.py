"""Open3D's legacy visualizer, off screen: named layers in, a picture out.

One visualizer lives in a process, on the thread that made it, so ``Renderer.shared`` hands out the only one.
It cannot be resized: its window is destroyed and recreated, and every layer is added again.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar

import cv2
import numpy as np

from handviz.app.viewport.shapes import Solid
from handviz.geometry.camera import FloatArray
from handviz.records import IntArray, UInt8Array

DISPLAY_VARIABLES = ("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "XDG_SESSION_TYPE")
# OpenGL's libraries by platform (a Mac always has a graphics card), and what its renderers are called without a card.
GL_LIBRARIES = {"linux": ("libOpenGL.so.0", "libGL.so.1"), "win32": ("opengl32",)}
GL_RENDERER = 0x1F01
SOFTWARE_NAMES = ("llvmpipe", "softpipe", "swrast", "swiftshader", "software", "gdi generic", "basic render")
NEAR_M, FAR_M = 0.01, 20.0
# A picture drawn by the processor is scaled up, and its lines with it.
LINE_WIDTH, SOFTWARE_LINE_WIDTH = 1.5, 1.0


@contextmanager
def without_display() -> Iterator[None]:
    """Hide the display on Linux, so that desktop and build machine both take Open3D's EGL path."""
    if sys.platform != "linux":
        yield
        return
    hidden = {name: os.environ.pop(name) for name in DISPLAY_VARIABLES if name in os.environ}
    with tempfile.TemporaryDirectory() as empty:
        # A Wayland socket would be looked for here; without any folder Mesa complains on the terminal.
        os.environ["XDG_RUNTIME_DIR"] = empty
        try:
            yield
        finally:
            del os.environ["XDG_RUNTIME_DIR"]
            os.environ.update(hidden)


@dataclass
class Layer:
    """A geometry of the scene, whether it should be visible, and whether Open3D has it right now."""

    geometry: Any
    visible: bool = True
    added: bool = False


@dataclass
class Renderer:
    """Draws named layers from any camera. Use it on the GUI thread only. ``software``: the processor draws; known once open."""

    background: FloatArray = field(default_factory=lambda: np.zeros(3))
    size: tuple[int, int] | None = None
    software: bool = False
    _visualizer: Any = None
    _layers: dict[str, Layer] = field(default_factory=dict)
    _failed: bool = False
    # Counts changes of the layers; the last picture, and what it was drawn from.
    _version: int = 0
    _drawn: tuple[tuple[Any, ...], UInt8Array] | None = None
    _shared: ClassVar[Renderer | None] = None

    @classmethod
    def shared(cls) -> Renderer:
        """Return the process's one renderer; nothing is opened yet."""
        if cls._shared is None:
            cls._shared = cls()
        return cls._shared

    @staticmethod
    def load_library() -> bool:
        """Import Open3D; False where it or a library it needs is missing."""
        _leave_out_plotly()
        try:
            importlib.import_module("open3d")
        except (ImportError, OSError):
            return False
        return True

    def open(self, width: int, height: int) -> bool:
        """Make the off-screen window, or remake it in a new size. False when this machine has no working OpenGL."""
        if self.size == (width, height):
            return True
        if self._failed:
            return False
        self.close()
        if not self.load_library():
            self._failed = True
            return False
        import open3d as o3d

        o3d.utility.set_verbosity_level(o3d.utility.VerbosityLevel.Error)
        visualizer = o3d.visualization.Visualizer()
        with without_display():
            created = bool(visualizer.create_window(visible=False, width=width, height=height))
        if not created:
            self._failed = True
            return False
        self._visualizer, self.size, self.software = visualizer, (width, height), drawn_in_software()
        option = visualizer.get_render_option()
        # Colours arrive already shaded (see ``shading``): Open3D's own lights sparkle along edges and overexpose pictures.
        option.light_on = False
        option.line_width = SOFTWARE_LINE_WIDTH if self.software else LINE_WIDTH
        self._set_bounds()
        return True

    def _set_bounds(self) -> None:
        """Tell Open3D how big the world is once: without a bounding box it clips everything."""
        corners = np.array([[-2.0, -2.0, -2.0], [2.0, 2.0, 4.0]])
        box = _new_lines(corners, np.array([[0, 1]], np.int32))
        self._visualizer.add_geometry(box, reset_bounding_box=True)
        self._visualizer.remove_geometry(box, reset_bounding_box=False)

    def close(self) -> None:
        """Destroy the window; layers are kept for the next one."""
        if self._visualizer is not None:
            self._visualizer.clear_geometries()
            self._visualizer.destroy_window()
        self._visualizer, self.size, self._drawn = None, None, None
        for layer in self._layers.values():
            layer.added = False

    def clear(self) -> None:
        """Forget all layers."""
        for name in list(self._layers):
            self._drop(name)

    def set_mesh(self, name: str, solid: Solid, vertex_colours: FloatArray) -> None:
        """Show a solid with colours (V, 3) in [0, 1]; updated in place if its numbers of faces and vertices are as before."""
        layer = self._layers.get(name)
        if (
            layer is None
            or len(layer.geometry.triangles) != len(solid.faces)
            or len(layer.geometry.vertices) != len(solid.vertices)
        ):
            layer = self._replace(name, _new_mesh(solid))
        mesh = layer.geometry
        # A left hand where a right one was: the same triangles, wound the other way.
        if not np.array_equal(np.asarray(mesh.triangles), solid.faces):
            np.asarray(mesh.triangles)[:] = solid.faces
        np.asarray(mesh.vertices)[:] = solid.vertices
        np.asarray(mesh.vertex_colors)[:] = vertex_colours
        self._touch(layer)

    def set_lines(self, name: str, points: FloatArray, lines: IntArray, colours: FloatArray) -> None:
        """Show line segments (L, 2) over points (N, 3) with colours (L, 3)."""
        layer = self._layers.get(name)
        if layer is None or len(layer.geometry.points) != len(points) or len(layer.geometry.lines) != len(lines):
            layer = self._replace(name, _new_lines(points, lines))
        geometry = layer.geometry
        pairs = ((geometry.lines, lines), (geometry.points, points), (geometry.colors, colours))
        if layer.added and all(np.array_equal(np.asarray(held), given) for held, given in pairs):
            layer.visible = True
            return
        for held, given in pairs:
            np.asarray(held)[:] = given
        self._touch(layer)

    def set_picture(self, name: str, corners: FloatArray, rgb: UInt8Array) -> None:
        """Show a picture on the quad (4, 3): top left, top right, bottom right, bottom left."""
        import open3d as o3d

        layer = self._layers.get(name) or self._replace(name, _new_quad(corners))
        np.asarray(layer.geometry.vertices)[:] = corners
        texture: Any = np.ascontiguousarray(rgb)
        layer.geometry.textures = [o3d.geometry.Image(texture)]
        self._touch(layer)

    def hide(self, *names: str) -> None:
        """Take layers out of the picture; unknown names are fine."""
        for name in names:
            if name in self._layers:
                self._layers[name].visible = False

    def show(self, *names: str) -> None:
        """Put hidden layers back as they were."""
        for name in names:
            self._layers[name].visible = True

    def names(self) -> list[str]:
        """Names of the visible layers."""
        return [name for name, layer in self._layers.items() if layer.visible]

    def draw(self, T_view_from_world: FloatArray, K: FloatArray) -> UInt8Array:
        """Return the picture (height, width, 3) RGB, the last one if nothing has changed.

        Raises RuntimeError when it was never opened.
        """
        if self._visualizer is None or self.size is None:
            raise RuntimeError("open the renderer before drawing")
        wanted = (*self.names(), self._version, *(np.asarray(a).tobytes() for a in (T_view_from_world, K, self.background)))
        if self._drawn is not None and self._drawn[0] == wanted:
            return self._drawn[1]
        self._visualizer.get_render_option().background_color = self.background
        for layer in self._layers.values():
            self._sync(layer)
        self._aim(T_view_from_world, K)
        buffer = np.asarray(self._visualizer.capture_screen_float_buffer(True))
        picture = np.asarray(cv2.convertScaleAbs(buffer, alpha=255.0), np.uint8)
        self._drawn = wanted, picture
        return picture

    def _aim(self, T_view_from_world: FloatArray, K: FloatArray) -> None:
        import open3d as o3d

        assert self.size is not None
        parameters = o3d.camera.PinholeCameraParameters()
        parameters.intrinsic = o3d.camera.PinholeCameraIntrinsic(*self.size, K[0, 0], K[1, 1], K[0, 2], K[1, 2])
        parameters.extrinsic = T_view_from_world
        control = self._visualizer.get_view_control()
        control.convert_from_pinhole_camera_parameters(parameters, allow_arbitrary=True)
        control.set_constant_z_near(NEAR_M)
        control.set_constant_z_far(FAR_M)

    def _sync(self, layer: Layer) -> None:
        if layer.visible and not layer.added:
            self._visualizer.add_geometry(layer.geometry, reset_bounding_box=False)
        elif layer.added and not layer.visible:
            self._visualizer.remove_geometry(layer.geometry, reset_bounding_box=False)
        layer.added = layer.visible

    def _touch(self, layer: Layer) -> None:
        layer.visible = True
        self._version += 1
        if layer.added:
            self._visualizer.update_geometry(layer.geometry)

    def _replace(self, name: str, geometry: Any) -> Layer:
        self._drop(name)
        self._layers[name] = Layer(geometry)
        return self._layers[name]

    def _drop(self, name: str) -> None:
        layer = self._layers.pop(name, None)
        self._version += 1
        if layer is not None and layer.added:
            self._visualizer.remove_geometry(layer.geometry, reset_bounding_box=False)


def drawn_in_software() -> bool:
    """Say whether the OpenGL in use on this thread has no graphics card behind it; False if that is unknown."""
    for name in GL_LIBRARIES.get(sys.platform, ()):
        try:
            ask = ctypes.CDLL(name).glGetString
        except (OSError, AttributeError):
            continue
        ask.argtypes, ask.restype = [ctypes.c_uint], ctypes.c_char_p
        answer = (ask(GL_RENDERER) or b"").decode(errors="replace").lower()
        if answer:
            return any(word in answer for word in SOFTWARE_NAMES)
    return False


def _new_mesh(solid: Solid) -> Any:
    import open3d as o3d

    mesh = o3d.geometry.TriangleMesh()
    mesh.vertices = o3d.utility.Vector3dVector(solid.vertices)
    mesh.triangles = o3d.utility.Vector3iVector(np.asarray(solid.faces, np.int32))
    mesh.vertex_colors = o3d.utility.Vector3dVector(np.ones_like(solid.vertices))
    mesh.compute_triangle_normals()
    mesh.compute_vertex_normals()
    return mesh


def _new_lines(points: FloatArray, lines: IntArray) -> Any:
    import open3d as o3d

    geometry = o3d.geometry.LineSet()
    geometry.points = o3d.utility.Vector3dVector(points)
    geometry.lines = o3d.utility.Vector2iVector(np.array(lines, np.int32))
    geometry.colors = o3d.utility.Vector3dVector(np.ones((len(lines), 3)))
    return geometry


def _new_quad(corners: FloatArray) -> Any:
    import open3d as o3d

    # Both windings, so that it is seen from behind as well.
    quad = o3d.geometry.TriangleMesh()
    quad.vertices = o3d.utility.Vector3dVector(corners)
    quad.triangles = o3d.utility.Vector3iVector(np.array([[0, 2, 1], [0, 3, 2], [0, 1, 2], [0, 2, 3]], np.int32))
    corner_uv = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    quad.triangle_uvs = o3d.utility.Vector2dVector(corner_uv[np.asarray(quad.triangles).reshape(-1)])
    quad.triangle_material_ids = o3d.utility.IntVector([0] * 4)
    quad.compute_triangle_normals()
    quad.compute_vertex_normals()
    return quad


def _leave_out_plotly() -> None:
    """Keep Open3D from importing its notebook plots, and with them a web server: 36 MB and more than a second at every start."""
    name = "open3d.visualization.draw_plotly"
    if "open3d" not in sys.modules and name not in sys.modules:
        stand_in = ModuleType(name)
        for function in ("get_plotly_fig", "draw_plotly", "draw_plotly_server"):
            setattr(stand_in, function, None)
        sys.modules[name] = stand_in
