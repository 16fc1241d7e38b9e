"""What goes into a fit and what comes out. One entry of the leading axis is one hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from handviz.geometry.camera import FloatArray
from handviz.geometry.kinematics import axis_angle, turn_by
from handviz.hand.library import DEFAULT_HAND
from handviz.hand.skeleton import NUM_JOINTS
from handviz.records import BoolArray, HandParams

Metres = Literal["camera", "relative"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observations:
    """What is known about B right hands: any mix, at least one.

    ``K_B33`` intrinsics, (3, 3) or one per hand. ``joints_px_BJ2`` pixels with ``sigma_px_BJ``, their standard deviation;
    ``joints_m_BJ3`` metres with ``sigma_m_BJ``, in the ``camera`` frame or, when ``relative``, with the camera's axes and any
    origin. NaN joints are absent. ``mask_BHW`` bool, the hand's silhouette in the same picture, with ``sigma_mask_px``, how well
    its edge is known. Sigmas broadcast. Raises ValueError for wrong shapes or when nothing is given.
    """

    K_B33: FloatArray
    joints_px_BJ2: FloatArray | None = None
    joints_m_BJ3: FloatArray | None = None
    mask_BHW: BoolArray | None = None
    sigma_px_BJ: FloatArray | float = 2.0
    sigma_m_BJ: FloatArray | float = 0.005
    sigma_mask_px: float = 2.0
    metres: Metres = "camera"

    def __post_init__(self) -> None:
        given = [a for a in (self.joints_px_BJ2, self.joints_m_BJ3, self.mask_BHW) if a is not None]
        if not given:
            raise ValueError("a fit needs pixels, metres or a mask")
        B = len(given[0])
        for array, tail in ((self.joints_px_BJ2, (NUM_JOINTS, 2)), (self.joints_m_BJ3, (NUM_JOINTS, 3))):
            if array is not None and array.shape != (B, *tail):
                raise ValueError(f"joints must have shape {(B, *tail)}, not {array.shape}")
        if self.mask_BHW is not None and (self.mask_BHW.ndim != 3 or len(self.mask_BHW) != B):
            raise ValueError(f"masks must have shape ({B}, H, W), not {self.mask_BHW.shape}")
        if self.K_B33.shape not in ((3, 3), (B, 3, 3)) or not np.isfinite(self.K_B33).all():
            raise ValueError(f"K must be finite, of shape (3, 3) or {(B, 3, 3)}, not {self.K_B33.shape}")

    def __len__(self) -> int:
        known = (self.joints_px_BJ2, self.joints_m_BJ3, self.mask_BHW)
        return len(next(a for a in known if a is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """How a fit weighs what is known against what hands usually do; one over a weight is a standard deviation.

    ``pose_prior`` scales the Gaussian over poses; ``limit_rad`` is how far beyond a joint limit costs one standard deviation;
    ``shape_sigma`` spread of shape values around ``shape_mean``. ``hold_*`` pull towards the start (a temporal prior): None
    leaves a group free, 0 fixes it. ``scale_sigma`` spread of the logarithm of the scale around scale one, 0 fixes the scale.
    ``huber`` standard deviations beyond which pixels and edges count less. ``iterations`` of the solver; ``tolerance`` relative
    fall of the cost below which it ends. ``second_thoughts`` rounds in which every finger is also tried with other bends, because
    a finger that bends towards the camera can look like one that bends away. ``mask_rounds`` of matching edges, after the joints.
    """

    pose_prior: float = 0.1
    limit_rad: float = 0.05
    shape_sigma: float = 1.0
    shape_mean: tuple[float, ...] = (0.0,) * 10
    scale_sigma: float = 0.0
    hold_pose_rad: float | None = None
    hold_shape: float | None = None
    hold_rotation_rad: float | None = None
    hold_translation_m: float | None = None
    huber: float = 5.0
    iterations: int = 30
    second_thoughts: int = 0
    mask_rounds: int = 8
    tolerance: float = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HandState:
    """Parameters of B hands: pose (B, 45), shape (B, 10), root rotation (B, 3) axis-angle, translation (B, 3), scale (B,)."""

    pose_BP: FloatArray
    shape_BS: FloatArray
    root_rotation_B3: FloatArray
    translation_B3: FloatArray
    scale_B: FloatArray

    def __len__(self) -> int:
        return len(self.pose_BP)

    @staticmethod
    def of(params: HandParams) -> HandState:
        """Return a batch of one."""
        return HandState(
            pose_BP=np.asarray(params.pose, float)[None],
            shape_BS=np.asarray(params.shape, float)[None],
            root_rotation_B3=np.asarray(params.root_rotation, float)[None],
            translation_B3=np.asarray(params.translation_m, float)[None],
            scale_B=np.array([params.scale], float),
        )

    def params(self, index: int, hand_model: str) -> HandParams:
        """Return one hand as a record."""
        return HandParams(
            pose=self.pose_BP[index],
            shape=self.shape_BS[index],
            root_rotation=self.root_rotation_B3[index],
            translation_m=self.translation_B3[index],
            scale=float(self.scale_B[index]),
            hand_model=hand_model,
        )

    def compiled(self, index: int) -> tuple[npt.NDArray[Any], ...]:
        """Return one hand in the compiled solver's form."""
        return (
            np.array(self.pose_BP[index], float),
            np.array(self.shape_BS[index], float),
            turn_by(self.root_rotation_B3[index]),
            np.array(self.translation_B3[index], float),
            np.array([self.scale_B[index]], float),
        )


def state_of(hands: list[tuple[npt.NDArray[Any], ...]]) -> HandState:
    """Return the solver's states as a batch."""
    return HandState(
        pose_BP=np.reshape([h[0] for h in hands], (-1, 45)),
        shape_BS=np.reshape([h[1] for h in hands], (-1, 10)),
        root_rotation_B3=np.reshape([axis_angle(h[2]) for h in hands], (-1, 3)),
        translation_B3=np.reshape([h[3] for h in hands], (-1, 3)),
        scale_B=np.reshape([h[4] for h in hands], -1),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitResult:
    """B fitted hands: parameters, and joints (B, 21, 3) in metres in the camera frame."""

    state: HandState
    joints_BJ3: FloatArray
    hand_model: str = DEFAULT_HAND

    def params(self, index: int) -> HandParams:
        """Return one hand's parameters as a record."""
        return self.state.params(index, self.hand_model)
