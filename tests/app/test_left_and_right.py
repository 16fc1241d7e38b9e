"""A left hand in the place of a right one in 3D: its surface is seen from outside, and it is in the picture at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from handviz.app.view_options import ViewOptions
from handviz.app.viewport.orbit import orbit_lens
from handviz.app.viewport.renderer import Renderer
from handviz.app.viewport.scene import BESIDE_M, Scene
from handviz.app.viewport.widget import Viewport
from handviz.geometry.camera import camera_from_fov
from handviz.hand.mirror import mirror_faces, mirror_points
from handviz.records import FrameResult, HandEstimate
from tests.app.seen import project_to_view

pytestmark = pytest.mark.gui
SIZE = (200, 160)
BARE = ViewOptions(skeleton_3d=False, grid=False)


@pytest.fixture
def renderer(qapp: Any) -> Iterator[Renderer]:
    made = Renderer.shared()
    if not made.open(*SIZE):
        pytest.skip("needs OpenGL")
    made.clear()
    yield made
    made.clear()


def mirrored(hand: HandEstimate) -> HandEstimate:
    assert hand.mesh is not None
    faces, vertices = mirror_faces(hand.mesh.faces), mirror_points(hand.mesh.vertices_camera_m)
    return replace(hand, side="left", mesh=replace(hand.mesh, faces=faces, vertices_camera_m=vertices))


@pytest.mark.parametrize("style", ["solid", "wire"])
def test_a_left_hand_after_a_right_one_looks_like_a_left_hand_alone(
    renderer: Renderer, results: Any, hands: Any, style: Any
) -> None:
    right = hands(0)
    scene, options = Scene(renderer), replace(BARE, mesh_style=style)
    T = np.eye(4)
    T[:3, :3] = [[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]]
    T[2, 3] = 0.2

    def drawn(result: FrameResult) -> np.ndarray:
        scene.update(result, options, T[:3, :3])
        return scene.draw(T, orbit_lens(*SIZE))

    drawn(results(0, (right,)))
    after = drawn(results(1, (mirrored(right),)))
    renderer.clear()
    alone = drawn(results(1, (mirrored(right),)))
    assert (alone != alone[0, 0]).any()
    np.testing.assert_array_equal(after, alone)


def test_a_scene_in_which_nothing_changed_is_not_drawn_again(renderer: Renderer, results: Any, hands: Any) -> None:
    scene, T, K = Scene(renderer), np.eye(4), orbit_lens(*SIZE)
    options = replace(BARE, skeleton_3d=True, grid=True)

    def drawn(hand: HandEstimate, turned: np.ndarray = T) -> np.ndarray:
        scene.update(results(0, (hand,)), options, turned[:3, :3])
        return scene.draw(turned, K)

    drawn(hands(0))
    renderer.hide(*renderer.names())
    empty = scene.draw(T, K)
    assert scene.draw(T, K) is empty
    first = drawn(hands(0))
    assert (first != empty).any()
    other = T.copy()
    other[2, 3] = 0.3
    assert (drawn(hands(0), other) != first).any()
    assert (drawn(hands(5)) != first).any()


def test_after_a_jump_the_hands_are_in_the_picture_at_once(qtbot: Any, results: Any, hands: Any) -> None:
    viewport = Viewport()
    qtbot.addWidget(viewport)
    places = [(0.0, 0.05, 0.5), (0.25, -0.1, 0.9)]
    near, far = (results(index, (hands(0, place=place),)) for index, place in ((0, places[0]), (40, places[1])))
    viewport.show_result(near, ViewOptions())
    target = viewport.orbit.target
    moved = hands(0, place=(0.02, 0.05, 0.5))
    moved_on = replace(near, frame=replace(near.frame, t_capture_s=near.frame.t_capture_s + 0.04), hands=(moved,))
    viewport.show_result(moved_on, ViewOptions())
    drifted = np.linalg.norm(np.subtract(viewport.orbit.target, target))
    assert drifted < 0.5 * 0.02
    viewport.show_result(far, ViewOptions())
    assert np.linalg.norm(np.subtract(viewport.orbit.target, target)) > 5 * drifted > 0
    pixels = project_to_view(far.hands[0].joints.joints_camera_m, viewport.orbit.extrinsic(), orbit_lens(*SIZE))
    assert (pixels >= 0).all() and (pixels < SIZE).all()
    viewport.show_result(far, ViewOptions(follow=False))
    held = viewport.orbit
    viewport.show_result(near, ViewOptions(follow=False))
    assert viewport.orbit == held, "who does not follow is not moved"
    viewport.release()


def test_a_minimized_window_draws_no_scene_and_is_up_to_date_when_it_returns(
    renderer: Renderer, qtbot: Any, results: Any, hands: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    draw = Scene.draw
    monkeypatch.setattr(Scene, "draw", lambda scene, T, K: drawn.append(1) or draw(scene, T, K))
    viewport = Viewport()
    qtbot.addWidget(viewport)
    with qtbot.waitExposed(viewport):
        viewport.show()
    qtbot.waitUntil(lambda: not viewport.resizing and bool(drawn), timeout=60_000)
    viewport.showMinimized()
    drawn.clear()
    viewport.show_result(results(0, (hands(0),)), ViewOptions())
    assert not drawn
    viewport.showNormal()
    qtbot.waitUntil(lambda: bool(drawn), timeout=60_000)
    viewport.release()


def test_hands_that_come_to_be_compared_are_in_the_picture_at_once(qtbot: Any, results: Any, hands: Any) -> None:
    viewport, split = Viewport(), ViewOptions(side_by_side=True)
    qtbot.addWidget(viewport)
    alone = results(0)
    viewport.show_result(alone, split)
    other = hands(0, place=(0.05, 0.05, 0.5), mesh=False)
    viewport.show_result(replace(alone, compared=(other,)), split)
    for joints in (hands(0).joints.joints_camera_m, other.joints.joints_camera_m + BESIDE_M):
        pixels = project_to_view(joints, viewport.orbit.extrinsic(), orbit_lens(*SIZE))
        assert (pixels >= 0).all() and (pixels < SIZE).all()
    viewport.release()


def test_a_picture_of_any_shape_can_stand_in_the_frustum(renderer: Renderer, results: Any) -> None:
    wide = results(0, ())
    frame = replace(wide.frame, rgb=np.zeros((2, 2000, 3), np.uint8), camera=camera_from_fov(2000, 2))
    Scene(renderer).update(replace(wide, frame=frame), ViewOptions(frustum=True), np.eye(3))
    assert "picture" in renderer.names()
