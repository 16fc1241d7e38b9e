from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from handviz.export.annotate import AnnotateStyle, annotate, line_width
from handviz.geometry.camera import camera_from_fov, project
from handviz.hand.palette import GROUP_COLOURS, JOINT_COLOURS
from handviz.hand.skeleton import FINGERTIPS
from handviz.records import FrameResult, HandMesh, HandParams

Make = Callable[..., FrameResult]
BARE = AnnotateStyle(boxes=False, labels=False, mesh=False)


def spread_hand(make: Make, size: int) -> FrameResult:
    """A hand whose joints lie on a wide grid, so that none hides another, in a black picture."""
    result = make(0)
    camera = camera_from_fov(size, size)
    v, u = np.divmod(np.arange(21), 5)
    pixels = np.stack([u + 0.5, v + 0.5], -1) * size / 5
    hand = result.hands[0]
    joints = replace(hand.joints, joints_px=pixels)
    hand = replace(hand, joints=joints, box_xyxy_px=np.array([0.1, 0.1, 0.9, 0.9]) * size)
    frame = replace(result.frame, rgb=np.zeros((size, size, 3), np.uint8), camera=camera)
    return replace(result, frame=frame, hands=(hand,))


@pytest.mark.parametrize("size", [240, 1080])
def test_every_joint_has_its_fingers_colour_and_the_picture_is_left_alone(make: Make, size: int) -> None:
    result = spread_hand(make, size)
    drawn = annotate(result.frame.rgb, result, BARE)
    assert result.frame.rgb.max() == 0 and drawn.shape == (size, size, 3)
    for joint, (u, v) in enumerate(np.round(result.hands[0].joints.joints_px).astype(int)):
        assert tuple(drawn[v, u]) == JOINT_COLOURS[joint]


def test_groups_colour_the_joints(make: Make) -> None:
    result = spread_hand(make, 400)
    result = replace(result, hands=(replace(result.hands[0], groups=np.arange(21)),))
    drawn = annotate(result.frame.rgb, result, replace(BARE, groups=True))
    for joint in FINGERTIPS:
        u, v = np.round(result.hands[0].joints.joints_px[joint]).astype(int)
        assert tuple(drawn[v, u]) == GROUP_COLOURS[joint]


def test_lines_grow_with_the_hand(make: Make) -> None:
    small, large = spread_hand(make, 300), spread_hand(make, 1200)
    assert line_width(large.hands[0]) == pytest.approx(4 * line_width(small.hands[0]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e9])
def test_joints_that_can_not_be_drawn_are_left_out(make: Make, bad: float) -> None:
    result = spread_hand(make, 200)
    hand = result.hands[0]
    hand.joints.joints_px[8] = bad
    broken = replace(hand, box_xyxy_px=np.full(4, bad), score=float("nan"))
    drawn = annotate(result.frame.rgb, replace(result, hands=(broken,)))
    assert drawn.max() > 0


def test_the_mesh_covers_its_triangle_and_nothing_that_is_out_of_view(make: Make) -> None:
    result = spread_hand(make, 200)
    K = result.frame.camera.K
    vertices = np.array([[-0.1, -0.1, 0.5], [0.1, -0.1, 0.5], [0.0, 0.1, 0.5]])
    params = HandParams(pose=np.zeros(45), shape=np.zeros(10), root_rotation=np.zeros(3), translation_m=np.zeros(3))
    mesh = HandMesh(vertices_camera_m=vertices, faces=np.array([[0, 2, 1]]), params=params)
    style = AnnotateStyle(boxes=False, labels=False, skeleton=False)
    front = replace(result, hands=(replace(result.hands[0], mesh=mesh),))
    drawn = annotate(result.frame.rgb, front, style)
    u, v = np.round(project(vertices.mean(0), K)).astype(int)
    assert drawn[v, u].min() > 30 and drawn[2, 2].max() == 0
    for points in (-vertices, vertices + [5.0, 0, 0], vertices * np.nan):
        hidden = replace(result, hands=(replace(result.hands[0], mesh=replace(mesh, vertices_camera_m=points)),))
        assert annotate(result.frame.rgb, hidden, style).max() == 0
