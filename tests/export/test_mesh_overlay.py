from __future__ import annotations

import numpy as np
import pytest

from handviz.export.mesh_overlay import lay_over, mesh_picture
from handviz.geometry.camera import camera_from_fov, project

CAMERA = camera_from_fov(200, 150)


def ball(centre: tuple[float, float, float], radius: float) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = 12, 16
    around = [
        [np.sin(a) * np.cos(b), np.cos(a), np.sin(a) * np.sin(b)]
        for a in np.linspace(1e-3, np.pi - 1e-3, rows)
        for b in np.linspace(0, 2 * np.pi, columns, endpoint=False)
    ]
    faces = []
    for i in range(rows - 1):
        for j in range(columns):
            a, b = i * columns + j, i * columns + (j + 1) % columns
            faces += [[a, b, b + columns], [a, b + columns, a + columns]]
    return np.array(around) * radius + centre, np.array(faces)


def test_coverage_is_the_outline_and_light_comes_from_the_upper_left() -> None:
    vertices, faces = ball((0.02, -0.01, 0.5), 0.1)
    found = mesh_picture(vertices, faces, CAMERA, (200, 100, 50))
    assert found is not None
    picture, place = found
    centre = project(np.array([0.02, -0.01, 0.5]), CAMERA.K) - place
    radius = CAMERA.K[0, 0] * 0.1 / np.sqrt(0.5**2 - 0.1**2)
    assert picture[..., 3].sum() / 255 == pytest.approx(np.pi * radius**2, rel=0.03)
    u, v = np.round(centre).astype(int)
    step = int(radius * 0.6)
    upper_left, lower_right = picture[v - step, u - step, 0], picture[v + step, u + step, 0]
    assert upper_left > 1.5 * lower_right
    shown = picture[v, u, :3].astype(float)
    np.testing.assert_allclose(shown / shown[0], [1, 0.5, 0.25], atol=0.02)


def test_edges_are_smooth() -> None:
    picture, _ = mesh_picture(*ball((0.0, 0.0, 0.5), 0.1), CAMERA) or (np.zeros((1, 1, 4)), None)
    between = (picture[..., 3] > 0) & (picture[..., 3] < 255)
    assert between.sum() > 50


def test_the_inside_of_an_open_surface_is_lit() -> None:
    vertices, faces = ball((0.0, 0.0, 0.5), 0.1)
    open_front = faces[vertices[faces][:, :, 2].mean(1) > 0.5]
    found = mesh_picture(vertices, open_front, CAMERA)
    assert found is not None
    assert found[0][..., :3][found[0][..., 3] == 255].min() > 30


def test_a_surface_cut_by_the_pictures_edge_stays_inside() -> None:
    found = mesh_picture(*ball((-0.28, 0.0, 0.5), 0.1), CAMERA)
    assert found is not None
    picture, (u, v) = found
    assert u == 0 and v >= 0 and picture.shape[0] + v <= 150
    canvas = np.zeros((150, 200, 3), np.uint8)
    lay_over(canvas, picture, (u, v), 0.5)
    assert 30 < canvas[:, 0].max() <= 128 and canvas[:, 150:].max() == 0


def test_nothing_to_be_seen_is_none() -> None:
    vertices, faces = ball((0.0, 0.0, 0.5), 0.1)
    for wrong in (-vertices, vertices + [9, 0, 0], vertices * np.nan, vertices - [0, 0, 0.5]):
        assert mesh_picture(wrong, faces, CAMERA) is None


def test_laying_over_blends_exactly() -> None:
    canvas = np.full((4, 5, 3), 200, np.uint8)
    picture = np.zeros((2, 2, 4), np.uint8)
    picture[..., :3], picture[..., 3] = 100, 255
    picture[0, 0, 3] = 0
    lay_over(canvas, picture, (1, 1), 0.25)
    assert canvas[1, 1, 0] == 200 and canvas[2, 2, 0] == 175 and canvas[0, 0, 0] == 200
