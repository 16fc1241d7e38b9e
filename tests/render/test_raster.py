import math

import numpy as np
import pytest
import torch

from handviz.render import compiled as compiled_module
from handviz.render.raster import rasterize
from handviz.render.soft_mask import soft_mask

BACKENDS = ("numba", "torch")
ONE = torch.tensor([[0, 1, 2]])


def scene(ball, batch=3, seed=0):
    vertices, faces = ball
    generator = torch.Generator().manual_seed(seed)
    return vertices + 0.04 * torch.randn(batch, 1, 3, generator=generator, dtype=torch.float64), faces


@pytest.mark.parametrize("orthographic", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_backends_agree_pixel_by_pixel(ball, K, orthographic, dtype):
    vertices, faces = scene(ball, batch=4)
    one, two = (
        rasterize(vertices.to(dtype), faces, K.to(dtype), 48, 64, orthographic=orthographic, backend=backend)
        for backend in BACKENDS
    )
    assert one.mask_BHW.any()
    assert torch.equal(one.face_id_BHW, two.face_id_BHW)
    assert torch.equal(one.depth_BHW, two.depth_BHW)
    assert torch.equal(one.bary_BHW3, two.bary_BHW3)


def test_backends_agree_in_small_chunks(ball, K, monkeypatch):
    vertices, faces = scene(ball)
    whole = rasterize(vertices, faces, K, 48, 64, backend="torch")
    monkeypatch.setattr("handviz.render.raster_torch.PAIRS_PER_CHUNK", 997)
    chunked = rasterize(vertices, faces, K, 48, 64, backend="torch")
    assert torch.equal(whole.face_id_BHW, chunked.face_id_BHW)


@pytest.mark.parametrize("backend", BACKENDS)
def test_depth_and_barycentrics_are_perspective_correct(triangle, K, backend):
    out = rasterize(triangle, ONE, K, 48, 64, backend=backend)
    y, x = out.mask_BHW[0].nonzero(as_tuple=True)
    assert len(y) > 200
    point = out.bary_BHW3[0, y, x] @ triangle[0]
    assert torch.allclose(point[:, 2], out.depth_BHW[0, y, x])
    pixel = point @ K.T
    # Corners sit on a grid of 1/4096 pixel; nothing else is lost.
    assert torch.allclose(pixel[:, 0] / pixel[:, 2], x.double(), atol=1e-3)
    assert torch.allclose(pixel[:, 1] / pixel[:, 2], y.double(), atol=1e-3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_pixel_centres_lie_on_integers_and_shared_edges_count_once(backend):
    K = torch.eye(3, dtype=torch.float64)
    square = torch.tensor([[[2.0, 3, 1], [6, 3, 1], [6, 8, 1], [2, 8, 1]]], dtype=torch.float64)
    halves = torch.tensor([[0, 1, 2], [0, 2, 3]])
    both = rasterize(square, halves, K, 12, 12, orthographic=True, backend=backend).mask_BHW[0]
    expected = torch.zeros(12, 12, dtype=torch.bool)
    expected[3:8, 2:6] = True  # top and left edges own their pixels, bottom and right do not
    assert torch.equal(both, expected)
    single = [rasterize(square, half[None], K, 12, 12, orthographic=True, backend=backend).mask_BHW[0] for half in halves]
    assert not (single[0] & single[1]).any()
    assert torch.equal(single[0] | single[1], expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_nearer_triangle_wins_whatever_the_order_or_winding(triangle, K, backend):
    behind = triangle + torch.tensor([0, 0, 0.5])
    vertices = torch.cat([behind, triangle], 1)
    for faces in ([[0, 1, 2], [3, 4, 5]], [[3, 5, 4], [0, 1, 2]]):
        out = rasterize(vertices, torch.tensor(faces), K, 48, 64, backend=backend)
        near = faces.index(next(f for f in faces if 3 in f))
        alone = rasterize(triangle, ONE, K, 48, 64, backend=backend).mask_BHW
        assert (out.face_id_BHW[alone] == near).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", ["behind", "beside", "no faces", "degenerate", "no area", "crossing near plane", "no batch"])
def test_nothing_to_see_is_an_empty_result(triangle, K, backend, case):
    height, width, faces, vertices = 48, 64, ONE, triangle
    if case == "behind":
        vertices = triangle * torch.tensor([1, 1, -1.0])
    elif case == "beside":
        vertices = triangle + torch.tensor([5.0, 0, 0])
    elif case == "no faces":
        faces = torch.zeros(0, 3, dtype=torch.int64)
    elif case == "degenerate":
        faces = torch.tensor([[0, 1, 1], [2, 2, 2]])
    elif case == "no area":
        height = 0
    elif case == "crossing near plane":
        vertices = triangle - torch.tensor([0, 0, 0.45])
    else:
        vertices = triangle[:0]
    out = rasterize(vertices, faces, K, height, width, backend=backend)
    assert out.face_id_BHW.shape == (len(vertices), height, width)
    assert not out.mask_BHW.any()
    assert (out.depth_BHW == math.inf).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_partly_outside_shows_the_part_inside(ball, K, backend):
    vertices, faces = ball
    moved = (vertices + torch.tensor([0.08, 0.05, 0]))[None]
    small = rasterize(moved, faces, K, 48, 64, backend=backend).face_id_BHW
    shifted = K + torch.tensor([[0, 0, 40.0], [0, 0, 40], [0, 0, 0]])
    large = rasterize(moved, faces, shifted, 200, 200, backend=backend).face_id_BHW
    assert torch.equal(small[0], large[0, 40:88, 40:104])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vertices_BV3": torch.full((1, 3, 3), math.nan)}, "finite"),
        ({"vertices_BV3": torch.zeros(3, 3)}, "vertices must have shape"),
        ({"faces_F3": torch.tensor([[0, 1, 3]])}, "does not exist"),
        ({"faces_F3": torch.zeros(1, 3)}, "faces must be integers"),
        ({"K_B33": torch.eye(4)}, "K must have shape"),
        ({"height": -1}, "size"),
        ({"near": 0.0}, "near plane"),
    ],
)
def test_wrong_input_is_refused_with_a_reason(triangle, K, change, message):
    call = {"vertices_BV3": triangle, "faces_F3": ONE, "K_B33": K, "height": 8, "width": 8} | change
    with pytest.raises(ValueError, match=message):
        rasterize(**call)


def test_a_camera_for_each_batch_entry(triangle, K):
    cameras = torch.stack([K, K * torch.tensor([[0.5], [0.5], [1.0]])])
    out = rasterize(triangle.expand(2, 3, 3), ONE, cameras, 48, 64)
    for i in range(2):
        assert torch.equal(out.face_id_BHW[i], rasterize(triangle, ONE, cameras[i], 48, 64).face_id_BHW[0])


def test_threads_change_nothing(ball, K):
    vertices, faces = scene(ball, batch=5)
    one, two = with_threads(lambda: rasterize(vertices, faces, K, 48, 64))
    assert torch.equal(one.face_id_BHW, two.face_id_BHW)


def test_threads_change_nothing_about_the_outline(ball, K):
    vertices, faces = scene(ball, batch=5)
    one, two = with_threads(lambda: soft_mask(vertices, faces, K, 48, 64))
    assert torch.equal(one, two) and bool(((one > 0) & (one < 1)).any())


def with_threads(draw):
    """Return what is drawn by one thread and by two."""
    before, drawn = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            drawn.append(draw())
    finally:
        torch.set_num_threads(before)
    return drawn


def test_without_numba_the_torch_backend_draws(triangle, K, monkeypatch):
    expected = rasterize(triangle, ONE, K, 48, 64, backend="torch")
    monkeypatch.setattr("handviz.render.raster.have_numba", lambda: False)
    monkeypatch.setattr("handviz.render.raster.rasterize_numba", None)
    assert torch.equal(rasterize(triangle, ONE, K, 48, 64).face_id_BHW, expected.face_id_BHW)


def test_compiled_leaves_plain_python_where_numba_is_absent(monkeypatch):
    monkeypatch.setattr(compiled_module, "have_numba", lambda: False)
    plain = compiled_module.compiled(len)
    assert plain is len


def test_compiled_works_without_a_folder_for_its_cache(monkeypatch):
    import numba

    real = numba.njit

    def refuses_cache(*args, **options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return real(*args, **options)

    monkeypatch.setattr(numba, "njit", refuses_cache)
    assert compiled_module.compiled(lambda x: x + 1)(1) == 2


def test_every_pixel_of_a_closed_surface_is_covered(ball, K):
    vertices, faces = ball
    mask = rasterize(vertices[None], faces, K, 48, 64).mask_BHW[0].numpy()
    rows = [np.flatnonzero(row) for row in mask if row.any()]
    assert len(rows) > 10
    assert all(len(row) == row[-1] - row[0] + 1 for row in rows)
