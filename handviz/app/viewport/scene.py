"""Turns a frame's result into layers of the renderer. Layer names contain the hand's index in the result."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from handviz.app.colours import DARK, GHOST, Palette, unit
from handviz.app.view_options import ViewOptions
from handviz.app.viewport.renderer import Renderer
from handviz.app.viewport.shading import shaded
from handviz.app.viewport.shapes import Solid, edges_of, floor_grid, frustum_corners, skeleton_solid, vertex_normals
from handviz.geometry.camera import FloatArray
from handviz.hand.palette import SKIN, joint_colours
from handviz.hand.skeleton import NUM_JOINTS
from handviz.records import FrameResult, HandEstimate, IntArray, UInt8Array

FLOOR_M = 0.20
FLOOR_STEP_M = 0.10
FRUSTUM_DEPTH_M = 0.35
FRUSTUM_BEHIND_M = 0.12
PICTURE_WIDTH = 320
PICTURE_STRENGTH = 0.85
GLASS_SHARE = 0.42
FAINTEST = 0.35
# Bones inside a surface are thin, or they would stick out of it.
INSIDE_THICKNESS = 0.55
SMALLEST_BALL_M = 0.11
# Where a compared estimator's hands are placed when the view is split.
BESIDE_M = np.array([0.22, 0.0, 0.0])


@dataclass
class Scene:
    """Holds what is drawn in 3D, and draws it."""

    renderer: Renderer
    palette: Palette = DARK
    floor: FloatArray = field(default_factory=lambda: np.array([0.0, FLOOR_M, 0.5]))
    _R: FloatArray = field(default_factory=lambda: np.eye(3))
    _glass: list[str] = field(default_factory=list)
    _edges: dict[int, tuple[IntArray, IntArray]] = field(default_factory=dict)

    def update(self, result: FrameResult | None, options: ViewOptions, R_view_from_world: FloatArray) -> None:
        """Show a result with these options, lit for a view; a compared estimator's hands are grey skeletons."""
        self._R = R_view_from_world
        self.renderer.hide(*self.renderer.names())
        self._glass = []
        self.renderer.background = unit(self.palette.canvas)
        hands = () if result is None else result.hands
        for place, hand in enumerate(hands):
            self._show_hand(f"hand{place}", hand, options)
        for place, hand in enumerate(() if result is None else result.compared):
            if options.side_by_side:
                self._show_hand(f"other{place}", moved(hand, BESIDE_M), options)
            else:
                self._show_skeleton(f"other{place}", hand, np.tile(unit(GHOST), (NUM_JOINTS, 1)))
        if options.grid:
            self._show_floor(hands)
        if options.frustum and result is not None:
            self._show_frustum(result)

    def draw(self, T_view_from_world: FloatArray, K: FloatArray) -> UInt8Array:
        """Return the picture; see-through layers are blended from a pass with them and one without."""
        full = self.renderer.draw(T_view_from_world, K)
        if not self._glass:
            return full
        self.renderer.hide(*self._glass)
        behind = self.renderer.draw(T_view_from_world, K)
        for name in self._glass:
            self.renderer.show(name)
        return np.asarray(cv2.addWeighted(full, GLASS_SHARE, behind, 1 - GLASS_SHARE, 0.0), np.uint8)

    def _show_hand(self, name: str, hand: HandEstimate, options: ViewOptions) -> None:
        if options.skeleton_3d:
            colours: FloatArray = np.array(joint_colours(hand.groups if options.group_colours else None)) / 255.0
            alpha = np.clip(hand.joints.confidence, FAINTEST, 1.0)[:, None]
            mixed = colours * alpha + unit(self.palette.canvas) * (1 - alpha)
            covered = options.mesh_3d and hand.mesh is not None
            self._show_skeleton(name, hand, np.asarray(mixed, np.float64), INSIDE_THICKNESS if covered else 1.0)
        if options.mesh_3d and hand.mesh is not None:
            self._show_surface(f"{name}_mesh", hand.mesh.vertices_camera_m, hand.mesh.faces, options)

    def _show_skeleton(self, name: str, hand: HandEstimate, colours: FloatArray, thickness: float = 1.0) -> None:
        joints = np.asarray(hand.joints.joints_camera_m, np.float64)
        if not np.isfinite(joints).all():
            return
        solid = skeleton_solid(joints, thickness)
        self.renderer.set_mesh(name, solid, shaded(colours[solid.joint], solid.normals, self._R))

    def _show_surface(self, name: str, vertices: FloatArray, faces: IntArray, options: ViewOptions) -> None:
        vertices = np.asarray(vertices, np.float64)
        if not np.isfinite(vertices).all():
            return
        if options.mesh_style == "wire":
            edges = self._edges_of(faces)
            self.renderer.set_lines(f"{name}_wire", vertices, edges, np.broadcast_to(unit(SKIN), (len(edges), 3)))
            return
        solid = Solid(vertices, vertex_normals(vertices, faces), faces, np.zeros(0, np.int64))
        self.renderer.set_mesh(name, solid, shaded(np.tile(unit(SKIN), (len(vertices), 1)), solid.normals, self._R))
        if options.mesh_style == "glass":
            self._glass.append(name)

    def _edges_of(self, faces: IntArray) -> IntArray:
        known = self._edges.get(id(faces))
        if known is None or known[0] is not faces:
            known = (faces, edges_of(faces))
            self._edges = {**dict(list(self._edges.items())[-3:]), id(faces): known}
        return known[1]

    def _show_floor(self, hands: tuple[HandEstimate, ...]) -> None:
        points = [hand.joints.joints_camera_m for hand in hands if np.isfinite(hand.joints.joints_camera_m).all()]
        if points:
            self._move_floor(np.concatenate(points))
        grid, lines, strength = floor_grid()
        canvas, line = unit(self.palette.canvas), unit(self.palette.grid)
        colours = canvas + (line - canvas) * strength[:, None]
        self.renderer.set_lines("floor", grid + self.floor, lines, colours)

    def _move_floor(self, joints: FloatArray) -> None:
        """Keep the floor under the hands, in whole steps so that it does not swim along with them."""
        middle = joints.mean(0)
        for axis in (0, 2):
            if abs(middle[axis] - self.floor[axis]) > FLOOR_STEP_M:
                self.floor[axis] = round(float(middle[axis]) / FLOOR_STEP_M) * FLOOR_STEP_M
        lowest = float(joints[:, 1].max())
        if not 0.02 < self.floor[1] - lowest < 0.25:
            self.floor[1] = np.ceil((lowest + 0.05) / FLOOR_STEP_M) * FLOOR_STEP_M

    def _show_frustum(self, result: FrameResult) -> None:
        corners = frustum_corners(result.frame.camera, _frustum_depth(result))
        points = np.concatenate([np.zeros((1, 3)), corners])
        lines = np.array([[0, 1], [0, 2], [0, 3], [0, 4], [1, 2], [2, 3], [3, 4], [4, 1]], np.int32)
        self.renderer.set_lines("frustum", points, lines, np.broadcast_to(unit(self.palette.muted), (8, 3)))
        height, width = result.frame.rgb.shape[:2]
        size = PICTURE_WIDTH, max(round(PICTURE_WIDTH * height / width), 1)
        small = cv2.resize(result.frame.rgb, size, interpolation=cv2.INTER_AREA)
        self.renderer.set_picture("picture", corners, np.asarray(cv2.convertScaleAbs(small, alpha=PICTURE_STRENGTH), np.uint8))


def moved(hand: HandEstimate, offset_m: FloatArray) -> HandEstimate:
    """The hand at another place."""
    joints = replace(hand.joints, joints_camera_m=hand.joints.joints_camera_m + offset_m)
    mesh = hand.mesh and replace(hand.mesh, vertices_camera_m=hand.mesh.vertices_camera_m + offset_m)
    return replace(hand, joints=joints, mesh=mesh)


def _frustum_depth(result: FrameResult) -> float:
    """A little behind the farthest hand, so that hands stand in front of the picture."""
    depths = [float(hand.joints.joints_camera_m[:, 2].max()) + FRUSTUM_BEHIND_M for hand in result.hands]
    return max([FRUSTUM_DEPTH_M, *(depth for depth in depths if np.isfinite(depth))])


def framing(result: FrameResult | None, options: ViewOptions) -> tuple[FloatArray, float] | None:
    """Centre (3,) and radius in metres of a ball around all hands (and the camera's frustum), or None without one."""
    if result is None:
        return None
    beside = result.compared if options.side_by_side else ()
    shown = (*result.hands, *(moved(hand, BESIDE_M) for hand in beside))
    hands = [hand.joints.joints_camera_m for hand in shown if np.isfinite(hand.joints.joints_camera_m).all()]
    if options.frustum:
        hands.append(np.concatenate([np.zeros((1, 3)), frustum_corners(result.frame.camera, _frustum_depth(result))]))
    if not hands:
        return None
    joints = np.concatenate(hands)
    centre = (joints.min(0) + joints.max(0)) / 2
    # A fist must not fill the window, so a ball is never smaller than an open hand.
    return centre, max(SMALLEST_BALL_M, float(np.linalg.norm(joints - centre, axis=1).max()))
