"""Testing refinement as published: plain gradient steps on h of Eq. 13, for any number of crops at once.

    h <- h - gamma d/dh ( |XY joints - refined 2D joints|^2 + lambda |F(x) - F(mask(h) x)|^2 + L_Lap )

The paper gives 50 steps but neither gamma nor the units; here joints are in crop sides, features as they are. A gamma 5, 20 and
100 times as large gained no more, or diverged (30 hands, 12 steps, with and without features); lambda is a starting value. After
each step pose angles are clamped to the joint limits.
Shape suffixes: B batch, N the 63 values.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from handviz.fit.mesh_terms import Laplacian, mask_of
from handviz.fit.refinement import Iterate, RefinementTrace, check_iterations
from handviz.fit.seen import record_of
from handviz.geometry.camera import FloatArray
from handviz.hand.limits import clamp_pose
from handviz.hand.model import HandModel
from handviz.models.dense import DenseNetwork
from handviz.models.dense_vector import POSE, SHAPE, DenseParams, decode, encode, project_points, to_unit
from handviz.records import HandParams, UInt8Array

# A refinement whose total exceeds this many times the start's, or is not a number, has diverged.
_RUNAWAY = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperSettings:
    """Step size gamma, weights of the feature term (lambda) and of the Laplacian, side of the rendered mask in pixels.

    ``hold_shape`` keeps the ten shape values of the start.
    """

    step: float = 0.01
    feature_weight: float = 0.002
    laplacian_weight: float = 1.0
    mask_side: int = 64
    hold_shape: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PaperTarget:
    """One crop (S, S, 3) uint8 with its K, the refined 2D joints (21, 2) in its pixels, F(x) (F,), and S."""

    rgb: UInt8Array
    K: FloatArray
    joints_px_J2: FloatArray
    feature: FloatArray
    size: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch13:
    """B crops as tensors on the network's device: pictures in [0, 1], K, refined joints in crop sides, F(x)."""

    rgb_B3SS: Tensor
    K_B33: Tensor
    joints_unit_BJ2: Tensor
    feature_BF: Tensor

    @property
    def size(self) -> int:
        """Side of the crops in pixels."""
        return int(self.rgb_B3SS.shape[-1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PaperSteps:
    """All iterates of B crops: h (T+1, B, 63), totals (T+1, B), terms by name (T+1, B), seconds since the start (T+1)."""

    h_TBN: Tensor
    total_TB: Tensor
    terms: Mapping[str, Tensor]
    t_s: tuple[float, ...]

    def best(self) -> Tensor:
        """Return each crop's h of least total (B, 63)."""
        step_B = torch.nan_to_num(self.total_TB, nan=torch.inf).argmin(0)
        return self.h_TBN[step_B, torch.arange(len(step_B), device=step_B.device)]


def eq13(
    network: DenseNetwork, hand: HandModel, h_BN: Tensor, seen: Batch13, settings: PaperSettings
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the objective (B,) and its unweighted terms (B,) by name. Terms of weight zero are left out."""
    _, surface = decode(h_BN, seen.K_B33, seen.size, hand)
    joints = network.skeleton(surface, hand)
    gap = to_unit(project_points(joints, seen.K_B33), seen.size) - seen.joints_unit_BJ2
    terms = {"joints": gap.square().sum((1, 2))}
    total = terms["joints"]
    if settings.feature_weight:
        mask = mask_of(surface.vertices_BV3, hand, seen.K_B33, seen.size, settings.mask_side)
        mask = torch.nn.functional.interpolate(mask[:, None], size=seen.rgb_B3SS.shape[-2:], mode="bilinear", align_corners=False)
        feature = network.evidence.feature(seen.rgb_B3SS * mask)
        terms["features"] = (feature - seen.feature_BF).square().sum(-1)
        total = total + settings.feature_weight * terms["features"]
    if settings.laplacian_weight:
        terms["laplacian"] = Laplacian.of(hand).each(surface.vertices_BV3)
        total = total + settings.laplacian_weight * terms["laplacian"]
    return total, terms


def gradient_steps(
    network: DenseNetwork,
    hand: HandModel,
    h0_BN: Tensor,
    seen: Batch13,
    iterations: int,
    settings: PaperSettings,
    wanted: Callable[[], bool] = lambda: True,
) -> PaperSteps:
    """Take plain gradient steps from h0 (B, 63), as long as they are ``wanted``; return every iterate, the start first.

    They also stop once the objective has diverged for every crop.
    """
    began = time.perf_counter()
    h, all_h, totals, times = h0_BN.detach(), [], [], []
    terms: dict[str, list[Tensor]] = {}
    for step in range(iterations + 1):
        h = h.requires_grad_(True)
        with torch.enable_grad():
            total, now = eq13(network, hand, h, seen, settings)
        all_h.append(h.detach())
        totals.append(total.detach())
        times.append(time.perf_counter() - began)
        for name, value in now.items():
            terms.setdefault(name, []).append(value.detach())
        if step == iterations or not wanted() or bool(ran_away(torch.stack(totals)).all()):
            break
        (gradient,) = torch.autograd.grad(total.sum(), h)
        if settings.hold_shape:
            gradient[:, SHAPE] = 0.0
        moved = h.detach() - settings.step * gradient
        # A crop whose objective or step is not finite stays where it was.
        h = within_limits(torch.where(moved.isfinite().all(1, keepdim=True), moved, h.detach()))
    return PaperSteps(
        h_TBN=torch.stack(all_h),
        total_TB=torch.stack(totals),
        terms={name: torch.stack(values) for name, values in terms.items()},
        t_s=tuple(times),
    )


def ran_away(total_TB: Tensor) -> Tensor:
    """Say for which crops (B,) the objective (T, B) was far beyond its start, or not a number, at the last step."""
    return ~(total_TB[-1] <= _RUNAWAY * total_TB[0])


def within_limits(h_BN: Tensor) -> Tensor:
    """Return h with its pose inside the joint limits."""
    pose = clamp_pose(h_BN[:, POSE].double().cpu().numpy())
    return torch.cat([torch.from_numpy(pose).to(h_BN), h_BN[:, POSE.stop :]], 1)


def refine_paper(
    network: DenseNetwork,
    hand: HandModel,
    target: PaperTarget,
    start: HandParams,
    iterations: int,
    *,
    keep: bool = False,
    settings: PaperSettings | None = None,
    wanted: Callable[[], bool] = lambda: True,
) -> RefinementTrace:
    """Refine one hand of a crop and return its trace; the answer is the iterate of least total, at worst the start."""
    settings = settings or PaperSettings()
    device = network.mean_pose.device
    hand = hand.to(device=device)
    seen = _batch_of(target, device)
    h0 = encode(_tensors(start, device), seen.K_B33, target.size, hand)
    steps = gradient_steps(network, hand, h0, seen, check_iterations(iterations), settings, wanted)
    count = len(steps.t_s)
    params, _ = decode(steps.h_TBN[:, 0], seen.K_B33.expand(count, 3, 3), target.size, hand)
    totals = torch.nan_to_num(steps.total_TB[:, 0], nan=torch.inf)
    iterates = [
        Iterate(
            params=record_of(params, i, start.hand_model),
            total=float(totals[i]),
            terms={name: float(values[i, 0]) for name, values in steps.terms.items()},
            t_ms=1000 * steps.t_s[i],
        )
        for i in range(count)
    ]
    best = int(totals.argmin())
    diverged = bool(ran_away(totals))
    if not keep:
        iterates, best = [iterates[0], *([iterates[best]] if best else [])], min(best, 1)
    return RefinementTrace(iterates=tuple(iterates), best=best, diverged=diverged, solver="paper")


def _batch_of(target: PaperTarget, device: torch.device) -> Batch13:
    return Batch13(
        rgb_B3SS=torch.from_numpy(target.rgb).to(device).permute(2, 0, 1)[None].float() / 255,
        K_B33=torch.from_numpy(target.K).to(device)[None].float(),
        joints_unit_BJ2=to_unit(torch.from_numpy(target.joints_px_J2).to(device)[None].float(), target.size),
        feature_BF=torch.from_numpy(target.feature).to(device)[None].float(),
    )


def _tensors(params: HandParams, device: torch.device) -> DenseParams:
    def one(values: FloatArray) -> Tensor:
        return torch.from_numpy(np.asarray(values, np.float32)).to(device)[None]

    return DenseParams(
        pose_BP=one(params.pose),
        shape_BS=one(params.shape),
        root_rotation_B3=one(params.root_rotation),
        scale_B=torch.tensor([params.scale], device=device),
        translation_B3=one(params.translation_m),
    )
