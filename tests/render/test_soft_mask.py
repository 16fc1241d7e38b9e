import pytest
import torch

from handviz.render.raster import rasterize
from handviz.render.silhouette import edges_of
from handviz.render.soft_mask import mask_loss, soft_iou, soft_mask

BACKENDS = ("numba", "torch")
ONE = torch.tensor([[0, 1, 2]])


def in_view(ball, *shift):
    vertices, faces = ball
    return (vertices + torch.tensor(shift or (0.0, 0, 0), dtype=torch.float64))[None], faces


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("orthographic", [False, True])
def test_exact_away_from_the_outline_and_half_on_it(ball, K, backend, orthographic):
    vertices, faces = in_view(ball, 0.013, 0.007, 0.3)
    hard = rasterize(vertices, faces, K, 48, 64, orthographic=orthographic).mask_BHW.double()
    soft = soft_mask(vertices, faces, K, 48, 64, orthographic=orthographic, backend=backend)
    changed = (soft - hard).abs() > 0
    edge = torch.nn.functional.max_pool2d(hard, 5, 1, 2) != -torch.nn.functional.max_pool2d(-hard, 5, 1, 2)
    assert changed.any()
    assert not (changed & ~edge).any()
    assert ((soft > 0.5) == (hard > 0.5)).all()
    # The area under the soft edge is that of the hard mask.
    assert abs(float(soft.sum() - hard.sum())) < 0.01 * float(hard.sum())


def test_backends_agree(ball, K):
    vertices, faces = in_view(ball)
    both = torch.cat([vertices, vertices + 0.02])
    one, two = (soft_mask(both, faces, K, 48, 64, backend=backend) for backend in BACKENDS)
    assert torch.allclose(one, two, atol=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_match_finite_differences(triangle, K, backend):
    # No pixel centre lies on an edge or on the rim of the soft band, where the second derivative jumps.
    weight = torch.rand(48, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def total(vertices):
        return (soft_mask(vertices, ONE, K, 48, 64, softness_px=1.5, backend=backend) * weight).sum()

    inputs = triangle.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(total(inputs), inputs)
    assert gradient.abs().max() > 1
    for i in range(3):
        for k in range(3):
            step = torch.zeros_like(triangle)
            step[0, i, k] = 1e-6
            numeric = float(total(triangle + step) - total(triangle - step)) / 2e-6
            assert float(gradient[0, i, k]) == pytest.approx(numeric, rel=2e-3, abs=2e-2)


def test_gradients_of_a_curved_mesh_match_finite_differences(ball, K):
    vertices, faces = in_view(ball, 0.0113, -0.0071, 0)
    weight = torch.rand(48, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def total(shift, size):
        moved = (vertices - vertices.mean(1, keepdim=True)) * size + vertices.mean(1, keepdim=True) + shift
        return (soft_mask(moved, faces, K, 48, 64, softness_px=1.5) * weight).sum()

    shift, size = torch.zeros(3, dtype=torch.float64, requires_grad=True), torch.ones((), dtype=torch.float64, requires_grad=True)
    by_shift, by_size = torch.autograd.grad(total(shift, size), (shift, size))
    step = 2e-5
    for k in range(3):
        d = torch.zeros(3, dtype=torch.float64)
        d[k] = step
        numeric = float((total(d, size) - total(-d, size)).detach()) / (2 * step)
        assert float(by_shift[k]) == pytest.approx(numeric, rel=0.03, abs=5)
    numeric = float((total(shift, size + step) - total(shift, size - step)).detach()) / (2 * step)
    assert float(by_size) == pytest.approx(numeric, rel=0.03)


@pytest.mark.parametrize("shift", [(0.02, 0, 0), (0, -0.02, 0), (0.08, 0.0, 0), (0.6, 0.3, 0)])
def test_descent_on_the_loss_moves_towards_the_target(ball, K, shift):
    target_vertices, faces = in_view(ball)
    target = soft_mask(target_vertices, faces, K, 48, 64)
    moved = torch.tensor(shift, dtype=torch.float64, requires_grad=True)
    loss = mask_loss(target_vertices + moved, faces, K, target)
    loss.sum().backward()
    towards = -torch.tensor(shift, dtype=torch.float64)
    assert torch.nn.functional.cosine_similarity(-moved.grad[:2], towards[:2], dim=0) > 0.9


def test_loss_vanishes_at_the_target_and_grows_away_from_it(ball, K):
    vertices, faces = in_view(ball)
    target = soft_mask(vertices, faces, K, 48, 64)
    losses = [float(mask_loss(vertices + torch.tensor([x, 0, 0]), faces, K, target)) for x in (0, 0.01, 0.05, 0.2, 0.5, 1.0)]
    assert losses[0] < 0.03
    assert losses == sorted(losses)


def test_gradient_steps_bring_a_shifted_ball_back(ball, K):
    vertices, faces = in_view(ball)
    target = soft_mask(vertices, faces, K, 48, 64)
    shift = torch.tensor([0.12, -0.06, 0.1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([shift], lr=0.01)
    for _ in range(80):
        optimizer.zero_grad()
        mask_loss(vertices + shift, faces, K, target).sum().backward()
        optimizer.step()
    assert soft_iou(soft_mask(vertices + shift.detach(), faces, K, 48, 64), target) > 0.95


@pytest.mark.parametrize("case", ["behind", "beside", "no area", "degenerate"])
def test_nothing_to_see_is_zeros_and_finite_gradients(ball, K, case):
    vertices, faces = in_view(ball)
    height = 0 if case == "no area" else 48
    if case == "behind":
        vertices = vertices * torch.tensor([1, 1, -1.0])
    elif case == "beside":
        vertices = vertices + torch.tensor([9.0, 0, 0])
    elif case == "degenerate":
        vertices = vertices.mean(1, keepdim=True).expand_as(vertices)
    inputs = vertices.clone().requires_grad_()
    mask = soft_mask(inputs, faces, K, height, 64)
    assert mask.shape == (1, height, 64)
    assert float(mask.detach().sum()) == 0
    mask.sum().backward()
    assert torch.isfinite(inputs.grad).all()


def test_loss_of_an_empty_target_is_zero_and_of_a_hidden_hand_finite(ball, K):
    vertices, faces = in_view(ball)
    inputs = torch.cat([vertices, vertices * torch.tensor([1, 1, -1.0])]).requires_grad_()
    target = torch.zeros(2, 48, 64, dtype=torch.float64)
    target[1, 10:20, 10:20] = 1
    loss = mask_loss(inputs, faces, K, target)
    loss.sum().backward()
    assert loss.detach().tolist() == pytest.approx([0, 1], abs=1e-3)
    assert torch.isfinite(inputs.grad).all()


def test_a_hand_partly_outside_is_soft_only_at_its_own_outline(ball, K):
    vertices, faces = in_view(ball, 0.08, 0, 0)
    mask = soft_mask(vertices, faces, K, 48, 64)[0]
    assert (mask[20:28, -1] == 1).all()


def test_edges_of_a_closed_mesh_have_two_triangles_and_of_one_triangle_one(ball):
    _, faces = ball
    proper = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])]
    single = edges_of(ONE)
    assert single.corner_E2.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert single.triangle_E2.tolist() == [[0, -1]] * 3
    assert len(edges_of(proper).corner_E2) >= 1.4 * len(proper)


def test_float32_and_a_batch_of_cameras(ball, K):
    vertices, faces = in_view(ball)
    cameras = torch.stack([K, K * torch.tensor([[0.5], [0.5], [1.0]])]).float()
    inputs = vertices.float().expand(2, -1, -1).clone().requires_grad_()
    masks = soft_mask(inputs, faces, cameras, 48, 64)
    masks.sum().backward()
    assert masks.dtype == torch.float32
    assert masks.detach()[0].sum() > 2 * masks.detach()[1].sum()
    assert torch.isfinite(inputs.grad).all()
