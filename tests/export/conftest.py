from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest
import torch

from handviz.export.poses import PoseFrame, PoseHand, Surface
from handviz.geometry.camera import camera_from_fov, project
from handviz.hand.mirror import Side, mirror_faces, mirror_points
from handviz.hand.model import HandModel
from handviz.records import Frame, FrameResult, HandEstimate, HandJoints, HandMesh, HandParams

CAMERA = camera_from_fov(64, 48)


def make_result(index: int = 0, *, mesh: bool = False, nan_joint: int | None = None, side: Side = "right") -> FrameResult:
    """One hand of random joints; the picture's brightness grows by 8 with each frame."""
    rng = np.random.default_rng(index)
    joints = rng.normal(0, 0.05, (21, 3)) + [0, 0, 0.5]
    if nan_joint is not None:
        joints[nan_joint] = np.nan
    params = HandParams(
        pose=rng.normal(0, 0.3, 45),
        shape=rng.normal(size=10),
        root_rotation=rng.normal(size=3),
        translation_m=np.array([0, 0, 0.5]),
    )
    hand = HandEstimate(
        track_id=3,
        side=side,
        score=0.987654,
        box_xyxy_px=np.array([1.0, 2.0, 30.123456, 40.0]),
        joints=HandJoints(joints_camera_m=joints, joints_px=project(joints, CAMERA.K), confidence=np.full(21, 0.5)),
        mesh=HandMesh(vertices_camera_m=joints[:3], faces=np.array([[0, 1, 2]]), params=params, silhouette_iou=0.9)
        if mesh
        else None,
        groups=np.arange(21) % 3 if mesh else None,
    )
    rgb = np.full((48, 64, 3), index * 8 % 256, np.uint8)
    frame = Frame(index=index, t_capture_s=index / 30, t_arrival_s=0.0, rgb=rgb, camera=CAMERA, name="a.png")
    return FrameResult(frame=frame, hands=(hand,))


@pytest.fixture
def make() -> Callable[..., FrameResult]:
    return make_result


@contextmanager
def _file_size_limit(size: int) -> Iterator[None]:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def file_size_limit() -> Callable[[int], AbstractContextManager[None]]:
    """Writing any file beyond the given size fails, as on a full disk (POSIX only)."""
    return _file_size_limit


def _tiny_hand() -> HandModel:
    """A hand of 16 joints in a plane, four vertices around each, without pose correctives."""
    generator = torch.Generator().manual_seed(1)
    rest = torch.zeros(16, 3)
    for chain in range(5):
        for k in range(3):
            rest[1 + 3 * chain + k] = torch.tensor([-0.09 - 0.03 * k, 0.0, 0.03 - 0.015 * chain])
    corners = torch.tensor([[0.0, 0.01, 0.0], [0.008, -0.005, 0.0], [-0.008, -0.005, 0.008], [0.0, 0.0, -0.008]])
    template = (rest[:, None] + corners - corners.mean(0)).reshape(64, 3)
    regressor = torch.kron(torch.eye(16), torch.full((1, 4), 0.25))
    weights = torch.kron(torch.eye(16), torch.ones(4, 1))
    faces = torch.cat([4 * j + torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]]) for j in range(16)])
    return HandModel(
        name="tiny",
        template_V3=template,
        faces_F3=faces,
        shape_dirs_V3S=0.002 * torch.randn(64, 3, 10, generator=generator),
        pose_dirs_V3P=torch.zeros(64, 3, 135),
        joint_regressor_JV=regressor,
        skin_weights_VJ=weights,
        tip_vertices=(62, 14, 26, 50, 38),
        uv_V2=torch.zeros(64, 2),
        part_V=torch.zeros(64, dtype=torch.int64),
    ).to(dtype=torch.float64)


@pytest.fixture(scope="session")
def tiny_hand() -> HandModel:
    return _tiny_hand()


def _moving_hand(model: HandModel, count: int, side: Side, *, track_id: int = 1) -> list[PoseFrame]:
    """A hand that bends and turns smoothly, with the parameters and the surface that belong to its joints."""
    rng = np.random.default_rng(5)
    bend, turn, shape = rng.normal(0, 0.5, 45), rng.normal(0, 0.8, 3), rng.normal(size=10)
    frames = []
    for t in range(count):
        params = HandParams(
            pose=bend * np.sin(0.3 * t),
            shape=shape,
            root_rotation=turn * (1 + 0.1 * t),
            translation_m=np.array([0.01 * t, 0.0, 0.5]),
            scale=1.1,
            hand_model=model.name,
        )
        values = (params.pose, params.shape, params.root_rotation, np.array(params.scale), params.translation_m)
        placed = model.forward(*(torch.as_tensor(value, dtype=model.dtype)[None] for value in values))
        joints, vertices, faces = placed.joints_BJ3[0].numpy(), placed.vertices_BV3[0].numpy(), model.faces_F3.numpy()
        if side == "left":
            joints, vertices, faces = mirror_points(joints), mirror_points(vertices), mirror_faces(faces)
        hand = PoseHand(
            track_id=track_id,
            side=side,
            score=0.9,
            box_xyxy_px=np.array([1.0, 2.0, 3.0, 4.0]),
            joints=HandJoints(joints_camera_m=joints, joints_px=project(joints, CAMERA.K), confidence=np.ones(21)),
            params=params,
            surface=Surface(vertices_camera_m=vertices, faces=faces),
        )
        frames.append(PoseFrame(index=t, source=None, t_s=2.0 + t / 30, width=64, height=48, hands=(hand,)))
    return frames


@pytest.fixture
def moving_hand(tiny_hand: HandModel) -> Callable[..., list[PoseFrame]]:
    return lambda count=12, side="right", **more: _moving_hand(tiny_hand, count, side, **more)
