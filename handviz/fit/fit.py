"""``fit_hand``: hand parameters from any mix of 2D joints, 3D joints, a mask, a start, joint limits and priors.

Used for the baseline mesh, for pseudo-labels and for refinement. Each hand is solved by damped least squares with analytic
Jacobians; a mask is matched again between rounds (iterated closest points on outlines).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from handviz.fit.edges import NO_LINES, EdgeLines, EdgeTarget, match_edges
from handviz.fit.prepare import Compiled, chain_with, free_columns, joint_rows, line_rows, prior_rows
from handviz.fit.problem import FitResult, FitSettings, HandState, Observations, state_of
from handviz.fit.rig import JOINT_ORDER, Rig, rig_named, rig_of
from handviz.fit.solver import minimize
from handviz.fit.start import other_bends, starts_for
from handviz.render.compiled import for_batch, worker_threads

if TYPE_CHECKING:
    from handviz.hand.model import HandModel

# Matches only hold for small steps, so a round need not be solved to convergence.
EDGE_ITERATIONS = 6
# Solutions of the joints that the mask chooses between: how many, how much worse they may be, and how different they must be.
_CONTENDERS, _NEARLY_AS_GOOD, _OTHER_POSE_RAD = 3, 1.0, 0.25


class Solved(NamedTuple):
    """One hand as the solver left it: its state and cost."""

    state: Compiled
    cost: float


def fit_hand(
    seen: Observations,
    start: HandState | None = None,
    model: HandModel | Rig | None = None,
    settings: FitSettings | None = None,
) -> FitResult:
    """Fit B right hands to their observations.

    ``start`` (B hands) is where the solver begins and what the settings' ``hold_*`` pull to; without it the solver guesses from
    the 3D joints, or tries several views where there are none. ``model`` is the default hand where None; a rig
    needs no torch. Raises ValueError for a start of another size or with values that are not finite.
    """
    rig = rig_named() if model is None else model if isinstance(model, Rig) else rig_of(model)
    wanted = settings or FitSettings()
    if start is not None and len(start) != len(seen):
        raise ValueError(f"{len(seen)} hands need as many starts, not {len(start)}")
    if start is not None and not all(np.isfinite(getattr(start, name)).all() for name in start.__slots__):
        raise ValueError("a start must hold finite numbers")
    solved = [Solved((), 0.0)] * len(seen)

    def work(first: int, last: int) -> None:
        for i in range(first, last):
            solved[i] = _fit_one(rig, seen, i, start, wanted)

    for_batch(work, len(seen), worker_threads())
    joints = [rig.joints(s.state) for s in solved]
    return FitResult(
        state=state_of([s.state for s in solved]),
        joints_BJ3=np.reshape(joints, (-1, 21, 3)),
        hand_model=rig.name,
    )


def _fit_one(rig: Rig, seen: Observations, index: int, start: HandState | None, settings: FitSettings) -> Solved:
    problem = _Problem(rig, seen, index, start, settings)
    if start is not None:
        tried = [problem.solve(start.compiled(index), settings.iterations)]
    else:
        guesses = starts_for(rig, seen, index, np.array(settings.shape_mean))
        tried = [problem.solve(guesses.compiled(i), settings.iterations) for i in range(len(guesses))]
    for _ in range(settings.second_thoughts):
        best = min(tried, key=_cost)
        others = [problem.solve((pose, *best.state[1:]), settings.iterations) for pose in other_bends(best.state[0])]
        tried += others
        if _cost(min(others, key=_cost)) >= best.cost * (1 - settings.tolerance):
            break
    if problem.target is None:
        return min(tried, key=_cost)
    # Where joints leave two bends of a finger about equally likely, the mask decides.
    return min((problem.solve_edges(solved) for solved in _contenders(tried)), key=_cost)


def _cost(solved: Solved) -> float:
    return solved.cost


def _contenders(tried: list[Solved]) -> list[Solved]:
    """Return the best solution and up to two more that are nearly as good and clearly other poses."""
    kept: list[Solved] = []
    for solved in sorted(tried, key=_cost):
        if len(kept) == _CONTENDERS or (kept and solved.cost > kept[0].cost + _NEARLY_AS_GOOD):
            break
        if all(np.abs(solved.state[0] - other.state[0]).max() > _OTHER_POSE_RAD for other in kept):
            kept.append(solved)
    return kept


class _Problem:
    """One hand of a batch: its observations and what it is pulled to, in the compiled solver's form."""

    def __init__(self, rig: Rig, seen: Observations, index: int, start: HandState | None, settings: FitSettings) -> None:
        self.target = None if seen.mask_BHW is None else EdgeTarget.of(seen.mask_BHW[index])
        self._rig, self._settings, self._edge_weight = rig, settings, 1.0 / seen.sigma_mask_px
        self._joints = joint_rows(seen, index)
        self._anchor = None if start is None else start.compiled(index)
        self._free = free_columns(settings)

    def solve(self, state: Compiled, iterations: int, edges: EdgeLines = NO_LINES) -> Solved:
        """Solve from a state, with joints and the lines of one matching of edges."""
        settings = self._settings
        chain = chain_with(self._rig, edges.vertices)
        seen = (JOINT_ORDER, *self._joints, *line_rows(edges, self._edge_weight), np.array([settings.huber]))
        prior = prior_rows(settings, self._anchor or state)
        return Solved(*minimize(state, chain, seen, prior, self._free, iterations, settings.tolerance))

    def solve_edges(self, solved: Solved) -> Solved:
        """Continue from a solution with the mask's edge, matched again in each round."""
        assert self.target is not None
        for _ in range(self._settings.mask_rounds):
            params = state_of([solved.state]).params(0, self._rig.name)
            edges = match_edges(self._rig, params, self._joints[0], self.target)
            solved = self.solve(solved.state, EDGE_ITERATIONS, edges)
        return solved
