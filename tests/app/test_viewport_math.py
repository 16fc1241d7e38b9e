"""The 3D view's mathematics: orbit camera, shapes, framing, light."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handviz.app.view_options import ViewOptions
from handviz.app.viewport import renderer
from handviz.app.viewport.orbit import FOV_DEG, Orbit, camera_lens, orbit_lens
from handviz.app.viewport.scene import BESIDE_M, framing, moved
from handviz.app.viewport.shading import shaded
from handviz.app.viewport.shapes import edges_of, floor_grid, frustum_corners, skeleton_solid, vertex_normals
from handviz.app.viewport.widget import drift
from handviz.geometry.camera import camera_from_fov, project, unproject
from tests.app.seen import project_to_view

ANGLES = st.floats(-3, 3)


@given(yaw=ANGLES, pitch=st.floats(-1.5, 1.5), distance=st.floats(0.1, 5))
def test_target_is_in_the_middle_at_its_distance(yaw: float, pitch: float, distance: float) -> None:
    orbit = Orbit(target=(0.1, -0.2, 0.6), yaw=yaw, pitch=pitch, distance=distance)
    T = orbit.extrinsic()
    R = T[:3, :3]
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(R) == pytest.approx(1)
    np.testing.assert_allclose(R @ np.array(orbit.target) + T[:3, 3], [0, 0, distance], atol=1e-9)
    np.testing.assert_allclose(project_to_view(np.array(orbit.target), T, orbit_lens(640, 480)), [319.5, 239.5], atol=1e-6)


def test_front_view_is_as_the_camera_looks() -> None:
    np.testing.assert_allclose(Orbit().facing("front").rotation(), np.eye(3), atol=1e-12)


def test_top_view_looks_down() -> None:
    np.testing.assert_allclose(Orbit().facing("top").rotation()[2], [0, 1, 0], atol=2e-3)


def test_panning_moves_the_picture_with_the_mouse() -> None:
    orbit = Orbit(yaw=0.7, pitch=0.3)
    before = np.array(orbit.target)
    # Half a picture's height to the right: the old middle is now half a height to the left.
    after = project_to_view(before, orbit.panned(0.5, 0.0).extrinsic(), orbit_lens(640, 480))
    np.testing.assert_allclose(after, [319.5 - 240, 239.5], atol=1e-6)


def test_pitch_and_zoom_stay_in_bounds() -> None:
    assert abs(Orbit().turned(0, 100).pitch) < np.pi / 2
    assert Orbit().zoomed(1e-9).distance > 0.01 and Orbit().zoomed(1e9).distance < 100


def test_followed_ball_fills_the_view_and_fits() -> None:
    centre = np.array([0.2, 0.1, 0.7])
    orbit = Orbit().followed(centre, 0.1, 1.0)
    assert 0.1 / orbit.distance < np.sin(np.radians(FOV_DEG) / 2)
    assert 0.1 / orbit.distance > 0.6 * np.sin(np.radians(FOV_DEG) / 2)
    np.testing.assert_allclose(orbit.target, centre)


def test_a_hand_that_is_followed_does_not_leave_the_view() -> None:
    centre, radius = np.array([0.0, 0.0, 0.5]), 0.1
    orbit = Orbit().followed(centre, radius, 1.0)
    trembled = orbit.followed(centre + [0.01, 0.0, 0.0], radius, 0.1)
    assert trembled.target[0] == pytest.approx(0.001), "a little movement is drifted after"
    for _ in range(20):
        # 2 m/s at 30 Hz, at a tenth of the way each frame.
        centre = centre + [2 / 30, 0.0, 0.0]
        orbit = orbit.followed(centre, radius, 0.1)
        middle = project_to_view(centre[None], orbit.extrinsic(), orbit_lens(480, 480))[0]
        assert np.linalg.norm(middle - 239.5) < 0.35 * 240


def test_the_view_follows_by_time_and_goes_over_to_other_hands_at_once(results: Any, hands: Any) -> None:
    def at(t_s: float, *track_ids: int) -> Any:
        shown = results(0, tuple(replace(hands(i), track_id=i) for i in track_ids))
        return replace(shown, frame=replace(shown.frame, t_capture_s=t_s))

    twice = 1 - (1 - drift(at(1.0, 0), at(1.1, 0))) ** 2
    assert 0 < drift(at(1.0, 0), at(1.1, 0)) < 0.5 and drift(at(1.0, 0), at(1.2, 0)) == pytest.approx(twice)
    assert drift(at(1.0, 0, 1), at(1.1, 1)) < 0.5
    for before, now in ((at(1.0, 0), at(1.1, 1)), (at(1.0), at(1.1, 0)), (at(1.0, 0), at(9.0, 0)), (at(1.0, 0), at(0.9, 0))):
        assert drift(before, now) == 1.0
    assert drift(None, at(1.0, 0)) == 1.0
    # The same moment, analysed again: a little; with another camera: at once.
    again = at(1.0, 0)
    assert 0 < drift(at(1.0, 0), again) < 0.2
    other = replace(again, frame=replace(again.frame, camera=camera_from_fov(*again.frame.camera.size, 31)))
    assert drift(at(1.0, 0), other) == 1.0


def test_camera_view_shows_what_the_camera_saw() -> None:
    camera = camera_from_fov(640, 480, 70)
    points = np.array([[0.1, -0.05, 0.5], [-0.2, 0.1, 0.9]])
    seen = project_to_view(points, np.eye(4), camera_lens(camera, 320, 240))
    np.testing.assert_allclose(seen, 0.5 * (project(points, camera.K) + 0.5) - 0.5, atol=1e-9)


@pytest.mark.parametrize("focal", [(520.0, 610.0), (610.0, 520.0)])
def test_camera_view_shows_the_whole_picture_where_pixels_are_not_square(focal: tuple[float, float]) -> None:
    camera = replace(camera_from_fov(640, 480, 70), K=np.array([[focal[0], 0, 319.5], [0, focal[1], 239.5], [0, 0, 1.0]]))
    corners = unproject(np.array([[-0.5, -0.5], [639.5, 479.5]]), np.ones(2), camera.K)
    seen = project_to_view(corners, np.eye(4), camera_lens(camera, 640, 480))
    assert (seen >= -0.5 - 1e-9).all() and (seen <= np.array([639.5, 479.5]) + 1e-9).all()
    assert np.ptp(seen[:, 0]) == pytest.approx(640) or np.ptp(seen[:, 1]) == pytest.approx(480)


def test_skeleton_surrounds_its_joints_and_faces_outwards(hands: Any) -> None:
    joints = hands(3).joints.joints_camera_m
    solid = skeleton_solid(joints)
    per_joint = [solid.vertices[solid.joint == joint].mean(0) for joint in (0,)]
    np.testing.assert_allclose(per_joint[0], joints[0], atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(solid.normals, axis=1), 1, atol=1e-9)
    a, b, c = (solid.vertices[solid.faces[:, i]] for i in range(3))
    across = np.cross(b - a, c - a)
    known = np.linalg.norm(across, axis=1) > 1e-12
    towards = (across * solid.normals[solid.faces].mean(1)).sum(1)[known]
    assert (towards > 0).all() or (towards < 0).all()


def test_thin_skeleton_is_thinner(hands: Any) -> None:
    joints = hands(0).joints.joints_camera_m
    spans = [np.ptp(skeleton_solid(joints, thickness).vertices, axis=0) for thickness in (1.0, 0.5)]
    assert (spans[0] > spans[1]).all()


def test_normals_of_an_octahedron_point_outwards(hands: Any) -> None:
    mesh = hands(0).mesh
    centre = mesh.vertices_camera_m.mean(0)
    normals = vertex_normals(mesh.vertices_camera_m, mesh.faces)
    outwards = (mesh.vertices_camera_m - centre) / 0.05
    np.testing.assert_allclose(np.abs((normals * outwards).sum(1)), 1, atol=1e-9)
    assert len(edges_of(mesh.faces)) == 12


def test_floor_fades_to_its_rim() -> None:
    points, lines, strength = floor_grid()
    assert lines.max() == len(points) - 1 and (points[:, 1] == 0).all()
    assert 0 <= strength.min() < 0.05 and strength.max() > 0.9


def test_frustum_corners_project_to_the_picture() -> None:
    camera = camera_from_fov(640, 480)
    corners = project(frustum_corners(camera, 0.7), camera.K)
    np.testing.assert_allclose(corners, [[-0.5, -0.5], [639.5, -0.5], [639.5, 479.5], [-0.5, 479.5]], atol=1e-9)


def test_light_comes_from_above_left() -> None:
    grey = np.full((2, 3), 0.5)
    above, below = shaded(grey, np.array([[-0.4, -0.6, -0.66], [0.4, 0.6, 0.66]]), np.eye(3)).mean(1)
    assert above > below + 0.2


def test_framing(results: Any, hands: Any) -> None:
    assert framing(None, ViewOptions()) is None
    assert framing(results(0, ()), ViewOptions()) is None
    centre, radius = framing(results(0), ViewOptions()) or (np.zeros(3), 0.0)
    distances = np.linalg.norm(hands(0).joints.joints_camera_m - centre, axis=1)
    assert distances.max() <= radius + 1e-9
    assert (framing(results(0), ViewOptions(frustum=True)) or (centre, 0.0))[1] > radius


def test_moved_moves_joints_and_mesh(hands: Any) -> None:
    hand = hands(0)
    other = moved(hand, BESIDE_M)
    assert other.mesh is not None and hand.mesh is not None
    np.testing.assert_allclose(other.joints.joints_camera_m - hand.joints.joints_camera_m, np.tile(BESIDE_M, (21, 1)))
    np.testing.assert_allclose(other.mesh.vertices_camera_m - hand.mesh.vertices_camera_m, np.tile(BESIDE_M, (6, 1)))


@pytest.mark.parametrize(
    ("answer", "software"), [(b"llvmpipe (LLVM 15.0.6, 256 bits)", True), (b"NVIDIA GeForce RTX 4070", False), (None, False)]
)
def test_who_draws_is_asked(monkeypatch: pytest.MonkeyPatch, answer: bytes | None, software: bool) -> None:
    monkeypatch.setattr(renderer, "GL_LIBRARIES", {sys.platform: ("missing.so", "there.so")})

    def load(name: str) -> Any:
        if name == "missing.so":
            raise OSError(name)
        return Mock(glGetString=Mock(return_value=answer))

    monkeypatch.setattr(renderer.ctypes, "CDLL", load)
    assert renderer.drawn_in_software() == software


def test_where_nobody_says_who_draws_a_card_is_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderer, "GL_LIBRARIES", {})
    assert not renderer.drawn_in_software()
