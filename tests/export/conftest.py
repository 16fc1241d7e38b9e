from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest

from handviz.geometry.camera import camera_from_fov, project
from handviz.hand.mirror import Side
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
