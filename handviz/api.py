"""Using handviz from another program: one call, typed records.

import handviz

for result in handviz.track("video.mp4"):
    for hand in result.hands:
        print(result.frame.index, hand.side, hand.joints.joints_camera_m[8])
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import get_args

from handviz.arguments import FOV_DEG, HAND_SIZE_M, MAX_HANDS, REFINE_ITERATIONS
from handviz.capture.base import parse_source
from handviz.errors import HandvizError
from handviz.estimate.base import DeviceName
from handviz.hand.library import DEFAULT_HAND, hand_path
from handviz.pipeline.config import DEFAULT_REFINE_ITERATIONS, chosen
from handviz.pipeline.offline import analyse
from handviz.records import FrameResult


def track(
    source: str | Path | int,
    *,
    estimator: str | None = None,
    max_hands: int = 2,
    smoothing: bool = True,
    device: DeviceName = "auto",
    fov_deg: float | None = None,
    intrinsics: str | Path | None = None,
    hand_model: str = DEFAULT_HAND,
    hand_size_m: float | None = None,
    refine_iterations: int = DEFAULT_REFINE_ITERATIONS,
    weights: str | Path | None = None,
) -> Iterator[FrameResult]:
    """Return an iterator over a ``FrameResult`` for every frame of a video, picture, folder or camera, in order, none dropped.

    Joints (21, 3) are in metres in the camera's frame and (21, 2) in pixels, ordered as ``handviz.hand.skeleton.JOINT_NAMES``;
    left hands are not mirrored. ``hand_size_m`` is the length from wrist to middle knuckle, if known. ``weights`` is
    a file, or the name of shipped weights (``groups-live``), for ``groups``, ``groups-fit`` or ``dense``. ``estimator`` defaults
    to the one that runs the weights, and without weights to ``auto``. Raises HandvizError with one clear sentence: immediately
    for an unusable name or number or a missing source, else when the problem occurs; results before it remain valid.
    """
    _check("max_hands", max_hands, MAX_HANDS, Integral)
    if fov_deg is not None:
        _check("fov_deg", fov_deg, FOV_DEG)
    if hand_size_m is not None:
        _check("hand_size_m", hand_size_m, HAND_SIZE_M)
    _check("refine_iterations", refine_iterations, REFINE_ITERATIONS, Integral)
    if device not in get_args(DeviceName):
        raise HandvizError(f"device = {device!r} is not one of: {', '.join(get_args(DeviceName))}")
    hand_path(hand_model)
    config = replace(
        chosen(estimator, Path(weights) if weights is not None else None),
        max_hands=max_hands,
        smoothing=smoothing,
        device=device,
        fov_deg=fov_deg,
        intrinsics=Path(intrinsics) if intrinsics is not None else None,
        hand_model=hand_model,
        hand_scale_m=hand_size_m,
        refine_iterations=refine_iterations,
    )
    # A Path is never a camera number, whatever its name.
    return analyse(parse_source(str(source.absolute() if isinstance(source, Path) else source)), config)


def _check(name: str, value: float, limits: tuple[float, float], kind: type = Real) -> None:
    """Raise HandvizError that names an argument outside its range, which the command line and the settings share."""
    if not isinstance(value, kind) or not limits[0] <= value <= limits[1]:
        what = "whole number" if kind is Integral else "number"
        raise HandvizError(f"{name} = {value!r} is not a {what} from {limits[0]:g} to {limits[1]:g}")
