import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from handviz.errors import ModelFileError
from handviz.hand.model import HandModel, load_hand_model, rotation_matrices
from handviz.hand.skeleton import JOINT_INDEX, MANO_JOINT_NAMES, MANO_PARENTS


def rest(model: HandModel, count: int = 1) -> tuple[torch.Tensor, ...]:
    kind = {"dtype": model.dtype}
    return (torch.zeros(count, 45, **kind), torch.zeros(count, 10, **kind), torch.zeros(count, 3, **kind))


def place(model: HandModel, pose, shape, root, scale=1.0, move=(0.0, 0.0, 0.0)):
    count = len(pose)
    return model.forward(
        pose, shape, root, torch.full((count,), scale, dtype=model.dtype), torch.tensor([move] * count, dtype=model.dtype)
    )


@pytest.fixture(scope="module")
def model() -> HandModel:
    return load_hand_model().to(dtype=torch.float64)


def slow_skinning(model: HandModel, pose, shape, root):
    """Direct, joint by joint evaluation of the published equations, in NumPy."""
    template, S, P = (x.numpy() for x in (model.template_V3, model.shape_dirs_V3S, model.pose_dirs_V3P))
    shaped = template + S @ shape
    joints = model.joint_regressor_JV.numpy() @ shaped
    R = Rotation.from_rotvec(np.concatenate([root[None], pose.reshape(15, 3)])).as_matrix()
    v = shaped + P @ (R[1:] - np.eye(3)).reshape(-1)
    T = []
    for j, parent in enumerate(MANO_PARENTS):
        local = np.eye(4)
        local[:3, :3] = R[j]
        local[:3, 3] = joints[j] - (joints[parent] if parent >= 0 else 0)
        T.append(local if parent < 0 else T[parent] @ local)
    out = np.zeros_like(v)
    for j, global_j in enumerate(T):
        out += model.skin_weights_VJ.numpy()[:, j, None] * ((v - joints[j]) @ global_j[:3, :3].T + global_j[:3, 3])
    return out, np.stack([t[:3, 3] for t in T])


def test_equals_a_direct_evaluation_of_its_arrays(model):
    rng = np.random.default_rng(3)
    pose, shape, root = rng.normal(size=45) * 0.5, rng.normal(size=10), rng.normal(size=3)
    expected_vertices, expected_joints = slow_skinning(model, pose, shape, root)
    got = place(model, *(torch.tensor(x)[None] for x in (pose, shape, root)))
    np.testing.assert_allclose(got.vertices_BV3[0].numpy(), expected_vertices, atol=1e-12)
    for j, name in enumerate(MANO_JOINT_NAMES):
        np.testing.assert_allclose(got.joints_BJ3[0, JOINT_INDEX[name]].numpy(), expected_joints[j], atol=1e-12)


def test_float32_agrees_with_float64(model):
    g = torch.Generator().manual_seed(1)
    pose, shape, root = (torch.randn(4, n, generator=g, dtype=torch.float64) * 0.5 for n in (45, 10, 3))
    exact = place(model, pose, shape, root).vertices_BV3
    single = place(load_hand_model(), pose.float(), shape.float(), root.float()).vertices_BV3
    assert single.dtype == torch.float32
    assert (single.double() - exact).abs().max() < 2e-6


def test_a_batch_is_its_members_one_by_one(model):
    g = torch.Generator().manual_seed(2)
    pose, shape, root = (torch.randn(3, n, generator=g, dtype=torch.float64) for n in (45, 10, 3))
    together = place(model, pose, shape, root).vertices_BV3
    for k in range(3):
        alone = place(model, pose[k : k + 1], shape[k : k + 1], root[k : k + 1]).vertices_BV3[0]
        torch.testing.assert_close(together[k], alone)


def test_stages_are_the_forward_pass(model):
    pose, shape, root = (torch.randn(2, n, dtype=torch.float64) * 0.3 for n in (45, 10, 3))
    scale, move = torch.tensor([0.9, 1.2], dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    staged = model.shaped(shape).posed(pose, root).mesh(scale, move)
    torch.testing.assert_close(staged.vertices_BV3, model.forward(pose, shape, root, scale, move).vertices_BV3)


def test_zero_pose_is_the_template_in_manos_axes(model):
    surface = place(model, *rest(model))
    torch.testing.assert_close(surface.vertices_BV3[0], model.template_V3)
    joints = dict(zip(JOINT_INDEX, surface.joints_BJ3[0].numpy(), strict=True))
    np.testing.assert_allclose(joints["wrist"], [0.0957, 0.0064, 0.0062], atol=2e-3)
    for finger in ("index", "middle", "ring", "little"):
        axis = joints[f"{finger}_tip"] - joints[f"{finger}_mcp"]
        assert axis[0] / np.linalg.norm(axis) < -0.9
    assert joints["index_mcp"][2] > joints["middle_mcp"][2] > joints["ring_mcp"][2] > joints["little_mcp"][2]
    assert joints["thumb_tip"][2] > joints["index_mcp"][2]


def test_bending_about_plus_z_goes_to_the_palm(model):
    pose, shape, root = rest(model)
    pose[0, 5] = 1.0  # index PIP, z
    bent = place(model, pose, shape, root).joints_BJ3[0]
    flat = place(model, *rest(model)).joints_BJ3[0]
    tip = JOINT_INDEX["index_tip"]
    assert bent[tip, 1] < flat[tip, 1] - 0.02
    others = [i for name, i in JOINT_INDEX.items() if name not in ("index_dip", "index_tip")]
    torch.testing.assert_close(bent[others], flat[others], atol=1e-4, rtol=0)


def test_root_turns_about_the_wrist_and_scale_then_moves(model):
    pose, shape, root = rest(model)
    root[0] = torch.tensor([0.3, -1.0, 0.5])
    flat, turned = place(model, *rest(model)), place(model, pose, shape, root, scale=1.1, move=(0.1, 0.2, 0.3))
    R = rotation_matrices(root)[0]
    wrist = flat.joints_BJ3[0, 0]
    expected = 1.1 * ((flat.vertices_BV3[0] - wrist) @ R.T + wrist) + torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    torch.testing.assert_close(turned.vertices_BV3[0], expected)


def test_gradients_against_finite_differences(model):
    small = torch.arange(0, 778, 97)

    def forward(pose, shape, root, scale, move):
        surface = model.forward(pose, shape, root, scale, move)
        return surface.vertices_BV3[:, small], surface.joints_BJ3

    g = torch.Generator().manual_seed(0)
    inputs = [torch.randn(1, n, generator=g, dtype=torch.float64) * 0.4 for n in (45, 10, 3)]
    inputs += [torch.tensor([1.1], dtype=torch.float64), torch.randn(1, 3, generator=g, dtype=torch.float64)]
    assert torch.autograd.gradcheck(forward, [x.requires_grad_() for x in inputs])


def test_gradient_at_zero_is_finite_and_right(model):
    pose, shape, root = rest(model)
    pose.requires_grad_()
    place(model, pose, shape, root).joints_BJ3[0, JOINT_INDEX["index_tip"], 1].backward()
    assert torch.isfinite(pose.grad).all()
    step = torch.zeros_like(pose)
    step[0, 5] = 1e-5
    ahead, behind = (place(model, s * step, shape, root).joints_BJ3[0, JOINT_INDEX["index_tip"], 1] for s in (1, -1))
    assert pose.grad[0, 5].item() == pytest.approx(((ahead - behind) / 2e-5).item(), rel=1e-4)


def test_forward_mode_derivatives_agree_with_reverse(model):
    _, shape, root = rest(model)

    def joints(pose):
        return place(model, pose, shape, root).joints_BJ3.flatten()

    pose = 0.3 * torch.ones(1, 45, dtype=torch.float64)
    torch.testing.assert_close(torch.func.jacfwd(joints)(pose), torch.func.jacrev(joints)(pose))


def test_rotations_equal_scipys():
    vectors = np.random.default_rng(0).normal(size=(50, 3)) * 2
    vectors[0] = 0
    np.testing.assert_allclose(
        rotation_matrices(torch.tensor(vectors)).numpy(), Rotation.from_rotvec(vectors).as_matrix(), atol=1e-12
    )


def test_skeleton_regressor_gives_the_joints_of_the_flat_hand(model):
    shape = torch.randn(2, 10, dtype=torch.float64)
    pose, _, root = rest(model, 2)
    surface = place(model, pose, shape, root)
    torch.testing.assert_close(model.skeleton_regressor_JV @ surface.vertices_BV3, surface.joints_BJ3)


def test_skeleton_regressor_stays_near_the_chain_on_a_bent_hand(model):
    pose, shape, root = rest(model)
    pose[0, 2::3] = 0.8
    surface = place(model, pose, shape, root)
    gap = (model.skeleton_regressor_JV @ surface.vertices_BV3 - surface.joints_BJ3).norm(dim=-1)
    assert gap.max() < 0.008


def test_posed_rotations_turn_the_bones(model):
    pose, shape, root = (torch.randn(1, n, dtype=torch.float64) * 0.4 for n in (45, 10, 3))
    shaped = model.shaped(shape)
    posed = shaped.posed(pose, root)
    mcp, pip = MANO_JOINT_NAMES.index("ring_mcp"), MANO_JOINT_NAMES.index("ring_pip")
    bone = shaped.rest_joints_BJ3[0, pip] - shaped.rest_joints_BJ3[0, mcp]
    got = posed.joints_BJ3[0, JOINT_INDEX["ring_pip"]] - posed.joints_BJ3[0, JOINT_INDEX["ring_mcp"]]
    torch.testing.assert_close(posed.rotations_BJ33[0, mcp] @ bone, got)


def test_nan_parameters_give_nan_and_never_a_plausible_hand(model):
    pose, shape, root = rest(model, 2)
    pose[0, 3] = float("nan")
    surface = place(model, pose, shape, root)
    assert surface.joints_BJ3[0, JOINT_INDEX["index_tip"]].isnan().all()
    assert surface.vertices_BV3[1].isfinite().all()


def test_a_model_first_used_in_inference_mode_still_gives_gradients():
    load_hand_model.cache_clear()
    with torch.inference_mode():
        model = load_hand_model()
        place(model, *rest(model))
        double = model.to(dtype=torch.float64)
        place(double, *rest(double))
    for each in (model, double):
        pose, shape, root = rest(each)
        place(each, pose.requires_grad_(), shape.requires_grad_(), root).joints_BJ3.sum().backward()
        assert torch.isfinite(pose.grad).all()


def test_unknown_name_lists_the_known_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDVIZ_DATA", str(tmp_path))
    with pytest.raises(ModelFileError, match=r"nobody.*default"):
        load_hand_model("nobody")
