"""Damped least squares (Levenberg 1944, Marquardt 1963) over one hand's parameters, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from handviz.fit.chain import COLUMNS, POSE, ROOT_TURN, SCALE, TRANSLATION, multiply, rotation_of
from handviz.fit.system import evaluate
from handviz.render.compiled import compiled

Array = npt.NDArray[Any]
_MOST_DAMPING = 1e8


@compiled
def solve_damped(H: Array, g: Array, free: Array, damping: float) -> Array:
    """Return the step -(H + damping diag H)^-1 g over the free parameters, by Cholesky; H is given by its upper half."""
    index = np.nonzero(free)[0]
    n = len(index)
    L, step = np.zeros((n, n)), np.zeros(COLUMNS)
    for i in range(n):
        for j in range(i + 1):
            total = H[index[j], index[i]]
            if i == j:
                total = total * (1.0 + damping) + 1e-9
            for k in range(j):
                total -= L[i, k] * L[j, k]
            L[i, j] = math.sqrt(max(total, 1e-12)) if i == j else total / L[j, j]
    y = np.empty(n)
    for i in range(n):
        total = -g[index[i]]
        for k in range(i):
            total -= L[i, k] * y[k]
        y[i] = total / L[i, i]
    for i in range(n - 1, -1, -1):
        total = y[i]
        for k in range(i + 1, n):
            total -= L[k, i] * step[index[k]]
        step[index[i]] = total / L[i, i]
    return step


@compiled
def moved(state: tuple[Array, ...], step: Array) -> tuple[Array, ...]:
    """Return the state after a step (62,)."""
    pose, shape, R, translation, scale = state
    new_pose, new_shape, turn, R_new = np.empty(POSE), np.empty(ROOT_TURN - POSE), np.empty((3, 3)), np.empty((3, 3))
    new_translation, new_scale = np.empty(3), np.empty(1)
    for i in range(POSE):
        new_pose[i] = pose[i] + step[i]
    for i in range(len(shape)):
        new_shape[i] = shape[i] + step[POSE + i]
    for i in range(3):
        new_translation[i] = translation[i] + step[TRANSLATION + i]
    new_scale[0] = scale[0] * math.exp(min(max(step[SCALE], -0.5), 0.5))
    rotation_of(step[ROOT_TURN:TRANSLATION], turn)
    multiply(turn, R, R_new)
    return new_pose, new_shape, R_new, new_translation, new_scale


@compiled
def minimize(
    state: tuple[Array, ...], rig: tuple[Array, ...], seen: tuple[Array, ...], prior: tuple[Array, ...], free: Array,
    iterations: int, tolerance: float,
) -> tuple[tuple[Array, ...], float]:  # fmt: skip
    """Return the state of least cost near a start, and its cost.

    It stops when a step lowers the cost by less than ``tolerance`` of it, or when no damping lets it fall further.
    """
    cost, H, g = evaluate(state, rig, seen, prior)
    damping = 1e-3
    for _ in range(iterations):
        candidate = moved(state, solve_damped(H, g, free, damping))
        new_cost, new_H, new_g = evaluate(candidate, rig, seen, prior)
        if new_cost < cost:
            settled = cost - new_cost < tolerance * cost
            state, cost, H, g = candidate, new_cost, new_H, new_g
            damping = max(damping * 0.2, 1e-9)
            if settled:
                return state, cost
        else:
            damping *= 8.0
            if damping > _MOST_DAMPING:
                return state, cost
    return state, cost
