import torch

from handviz.render.attributes import depth_picture, interpolate, interpolate_moving, part_labels, vertex_normals
from handviz.render.raster import rasterize

ONE = torch.tensor([[0, 1, 2]])


def test_interpolated_positions_lie_on_the_ray_of_their_pixel(ball, K):
    vertices, faces = ball
    out = rasterize(vertices[None], faces, K, 48, 64)
    points = interpolate(out, faces, vertices)[out.mask_BHW]
    y, x = out.mask_BHW[0].nonzero(as_tuple=True)
    pixel = points @ K.T
    assert torch.allclose(pixel[:, :2] / pixel[:, 2:], torch.stack([x, y], -1).double(), atol=1e-3)
    assert (interpolate(out, faces, vertices)[~out.mask_BHW] == 0).all()


def test_moving_and_fixed_interpolation_agree(ball, K):
    vertices, faces = ball
    for orthographic in (False, True):
        camera = K * torch.tensor([[1.5], [1.5], [1.0]]) if orthographic else K
        out = rasterize(vertices[None], faces, camera, 48, 64, orthographic=orthographic)
        moving = interpolate_moving(out, faces, vertices, vertices[None], camera, orthographic=orthographic)
        fixed = interpolate(out, faces, vertices)
        assert torch.allclose(moving, fixed, atol=2e-5)


def test_gradients_match_finite_differences(triangle, K):
    attributes = torch.randn(1, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    out = rasterize(triangle, ONE, K, 12, 16)
    assert out.mask_BHW.sum() > 5

    def picture(vertices, values):
        return interpolate_moving(out, ONE, values, vertices, K)

    inputs = (triangle.clone().requires_grad_(), attributes.requires_grad_())
    assert torch.autograd.gradcheck(picture, inputs)
    assert torch.autograd.gradcheck(lambda v: depth_picture(out, ONE, v, K).clamp(max=9), (inputs[0],))


def test_depth_is_infinite_where_nothing_is(triangle, K):
    out = rasterize(triangle, ONE, K, 48, 64)
    depth = depth_picture(out, ONE, triangle, K)
    assert torch.isinf(depth[~out.mask_BHW]).all()
    assert torch.allclose(depth[out.mask_BHW], out.depth_BHW[out.mask_BHW], atol=1e-4)


def test_part_labels_follow_the_nearest_corner(triangle, K):
    out = rasterize(triangle, ONE, K, 48, 64)
    labels = part_labels(out, ONE, torch.tensor([7, 8, 9]))
    expected = torch.tensor([7, 8, 9])[out.bary_BHW3[out.mask_BHW].argmax(-1)]
    assert torch.equal(labels[out.mask_BHW], expected)
    assert (labels[~out.mask_BHW] == -1).all()
    assert set(labels.unique().tolist()) == {-1, 7, 8, 9}


def test_normals_of_a_ball_point_outwards(ball):
    vertices, faces = ball
    normals = vertex_normals(vertices[None], faces)[0]
    outwards = torch.nn.functional.normalize(vertices - torch.tensor([0, 0, 0.5]), dim=-1)
    assert ((normals * outwards).sum(-1)[30:-30] > 0.98).all()
