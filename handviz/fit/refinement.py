"""Testing refinement: a hand fitted step by step to the network's 2D evidence, every step kept for viewing if asked for.

Two solvers for the same problem (Baek et al. 2019, section 3.4):

- ``newton`` (the default), here: damped Gauss-Newton with analytic Jacobians on joints, relative depths, joint limits, pose
  prior and closeness to the network's answer, and towards the network's mask; about a millisecond per step.
- ``paper``, in ``handviz.fit.refine_paper``: plain gradient steps on h of Eq. 13, features and Laplacian among its terms.

Everything is in the crop's camera. Neither returns a worse fit than it was given.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from handviz.arguments import REFINE_ITERATIONS
from handviz.fit.chain import COLUMNS
from handviz.fit.edges import NO_LINES, EdgeLines
from handviz.fit.prepare import chain_with, free_columns, joint_rows, line_rows, prior_rows
from handviz.fit.problem import FitSettings, HandState, Observations, state_of
from handviz.fit.rig import JOINT_ORDER, Rig
from handviz.fit.silhouette import MISS_WEIGHT, Silhouette
from handviz.fit.solver import moved, solve_damped
from handviz.fit.system import add_prior, evaluate
from handviz.geometry.camera import FloatArray, project, unproject
from handviz.hand.skeleton import ROOT
from handviz.models.recovery import relative_depth, scale_of
from handviz.records import HandParams

Array = npt.NDArray[Any]
Solver = Literal["newton", "paper"]
_MOST_DAMPING = 1e8
# Steps between two matchings of the outline.
MATCH_EVERY = 4
# The share by which a step must lower the cost to be worth another one, when no trace is kept.
_SETTLED = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Target:
    """What a hand is refined towards, in the crop's camera.

    ``joints_px_J2`` (21, 2) crop pixels with ``sigma_px_J``; ``depth_J`` (21,) relative depths in units of the scale bone with
    ``sigma_depth_J``, or None; ``K`` (3, 3); ``silhouette`` the mask, or None.
    """

    K: FloatArray
    joints_px_J2: FloatArray
    sigma_px_J: FloatArray
    depth_J: FloatArray | None = None
    sigma_depth_J: FloatArray | None = None
    silhouette: Silhouette | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Iterate:
    """One step of a refinement: parameters, the total that is minimised, its terms by name, and milliseconds since the start."""

    params: HandParams
    total: float
    terms: Mapping[str, float]
    t_ms: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RefinementTrace:
    """A refinement: its iterates (the start first), which of them is best, and whether it was stopped because it diverged.

    Without ``keep`` it holds only the start and the best.
    """

    iterates: tuple[Iterate, ...]
    best: int
    diverged: bool
    solver: Solver

    @property
    def answer(self) -> HandParams:
        """The best iterate's parameters; their total is never larger than the start's."""
        return self.iterates[self.best].params


# Standard deviations that say how much the network's own answer counts against its 2D evidence.
DEFAULT_SETTINGS = FitSettings(
    pose_prior=0.05,
    limit_rad=0.05,
    shape_sigma=1.5,
    hold_pose_rad=0.1,
    hold_shape=0.7,
    hold_rotation_rad=0.1,
    hold_translation_m=0.2,
    huber=3.0,
)


def check_iterations(iterations: int) -> int:
    """Return the count. Raises ValueError outside the range that commands accept (``handviz.arguments``)."""
    least, most = REFINE_ITERATIONS
    if not least <= iterations <= most:
        raise ValueError(f"refinement takes {least} to {most} iterations, not {iterations}")
    return iterations


def observations(target: Target, rig: Rig, start: HandParams) -> Observations:
    """Return the target in the solver's form: relative depths become metres by the start's own root depth and bone."""
    metres: FloatArray | None = None
    sigma_m: FloatArray | float = 0.01
    if target.depth_J is not None and target.sigma_depth_J is not None:
        _, joints = rig.mesh(start)
        bone = float(scale_of(joints))
        z = joints[ROOT, 2] + bone * target.depth_J
        metres, sigma_m = unproject(target.joints_px_J2, z, target.K)[None], (bone * target.sigma_depth_J)[None]
    return Observations(
        K_B33=target.K,
        joints_px_BJ2=target.joints_px_J2[None],
        sigma_px_BJ=target.sigma_px_J[None],
        joints_m_BJ3=metres,
        sigma_m_BJ=sigma_m,
        metres="relative",
    )


class _Cost(NamedTuple):
    """What is minimised at one state, and the share of the mask that is missed there (None without a mask)."""

    total: float
    miss: float | None


@dataclass(slots=True)
class _Recorder:
    """Collects iterates: all of them, or the start and the best."""

    rig: Rig
    target: Target
    priors: Callable[[tuple[Array, ...]], float]
    keep: bool
    began: float = field(default_factory=time.perf_counter)
    iterates: list[Iterate] = field(default_factory=list)

    def add(self, state: tuple[Array, ...], cost: _Cost) -> None:
        if self.keep or not self.iterates:
            self.iterates.append(self._made(state, cost))

    def close(self, state: tuple[Array, ...], cost: _Cost) -> None:
        if not self.keep and cost.total < self.iterates[0].total:
            self.iterates.append(self._made(state, cost))

    def _made(self, state: tuple[Array, ...], cost: _Cost) -> Iterate:
        params = state_of([state]).params(0, self.rig.name)
        elapsed = 1000 * (time.perf_counter() - self.began)
        terms = self._terms(state, cost) if self.keep else {}
        return Iterate(params=params, total=cost.total, terms=terms, t_ms=elapsed)

    def _terms(self, state: tuple[Array, ...], cost: _Cost) -> dict[str, float]:
        terms = joint_terms(self.rig.joints(state), self.target)
        seen = {} if cost.miss is None else {"silhouette": cost.miss}
        return terms | seen | {"priors": self.priors(state)}


def joint_terms(joints_J3: FloatArray, target: Target) -> dict[str, float]:
    """Return how far joints (21, 3) are from the target: root mean square pixels, and relative depth where it is known."""
    gap = project(joints_J3, target.K) - target.joints_px_J2
    terms = {"joints_px": math.sqrt(float(np.nanmean((gap**2).sum(-1))))}
    if target.depth_J is not None:
        terms["depth"] = math.sqrt(float(np.mean((relative_depth(joints_J3) - target.depth_J) ** 2)))
    return terms


class _Objective:
    """What is minimised: squared joint residuals, priors, and how much the hand misses the mask.

    The mask counts by its overlap, which has no derivative; lines from its outline, matched again every few steps, lead there.
    """

    def __init__(self, rig: Rig, target: Target, anchor: HandParams, settings: FitSettings) -> None:
        mask = target.silhouette
        self._rig, self._mask = rig, mask if mask is not None and mask.has_outline else None
        self._seen = (JOINT_ORDER, *joint_rows(observations(target, rig, anchor), 0))
        self._prior = prior_rows(settings, HandState.of(anchor).compiled(0))
        self._huber = np.array([settings.huber])
        self._plain = self._system(NO_LINES, 0.0)
        self._pulled = self._plain
        self.free = free_columns(settings)

    def _system(self, lines: EdgeLines, weight: float) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        return chain_with(self._rig, lines.vertices), (*self._seen, *line_rows(lines, weight), self._huber)

    def match(self, state: tuple[Array, ...]) -> None:
        """Match the hand's outline with the mask's again."""
        if self._mask is not None:
            params = state_of([state]).params(0, self._rig.name)
            self._pulled = self._system(self._mask.lines(self._rig, params), self._mask.line_weight)

    def slope(self, state: tuple[Array, ...]) -> tuple[Array, Array]:
        """Return Gauss-Newton's matrix and gradient."""
        _, H, g = evaluate(state, *self._pulled, self._prior)
        return H, g

    def cost(self, state: tuple[Array, ...]) -> _Cost:
        """Return what is minimised."""
        total: float = evaluate(state, *self._plain, self._prior)[0]
        if self._mask is None or not math.isfinite(total):
            return _Cost(total, None)
        miss = 1.0 - self._mask.iou(self._rig, self._rig.vertices(state))
        return _Cost(total + MISS_WEIGHT * miss, miss)

    def priors(self, state: tuple[Array, ...]) -> float:
        """Return the part of the cost that does not come from the picture: joint limits, usual hands, closeness to the anchor."""
        cost: float = add_prior(state, self._prior, np.zeros((COLUMNS, COLUMNS)), np.zeros(COLUMNS))
        return cost


def refine_newton(
    rig: Rig,
    target: Target,
    start: HandParams,
    iterations: int,
    *,
    keep: bool = False,
    anchor: HandParams | None = None,
    other_starts: Sequence[HandParams] = (),
    settings: FitSettings = DEFAULT_SETTINGS,
) -> RefinementTrace:
    """Refine by damped least squares: at most ``iterations`` steps, fewer when no trace is kept and nothing changes.

    It begins at ``start``, or at the one of ``other_starts`` that costs less. ``anchor`` is what the settings' ``hold_*`` pull
    to: the network's answer when the start is a different one, by default ``start``.
    """
    check_iterations(iterations)
    objective = _Objective(rig, target, anchor or start, settings)
    recorder = _Recorder(rig, target, objective.priors, keep)
    states = [HandState.of(params).compiled(0) for params in (start, *other_starts)]
    costs = [objective.cost(state) for state in states]
    first = min(range(len(costs)), key=lambda i: costs[i].total if math.isfinite(costs[i].total) else math.inf)
    state, cost = states[first], costs[first]
    recorder.add(state, cost)
    damping, diverged, settled = 1e-3, not math.isfinite(cost.total), False
    for step in range(0 if diverged else iterations):
        if step % MATCH_EVERY == 0:
            objective.match(state)
            H, g = objective.slope(state)
        candidate = moved(state, solve_damped(H, g, objective.free, damping))
        new = objective.cost(candidate)
        if new.total < cost.total:
            settled = cost.total - new.total < _SETTLED * cost.total
            state, cost = candidate, new
            H, g = objective.slope(state)
            damping = max(damping * 0.2, 1e-9)
        else:
            damping *= 8.0
            settled = damping > _MOST_DAMPING
            diverged = not math.isfinite(new.total) and settled
        recorder.add(state, cost)
        if settled and not keep:
            break
    recorder.close(state, cost)
    # Steps that do not lower the cost are not taken, so the last iterate is the best.
    return RefinementTrace(iterates=tuple(recorder.iterates), best=len(recorder.iterates) - 1, diverged=diverged, solver="newton")
