"""The normal equations of one hand, compiled: residuals of joints, silhouette lines, limits and priors, J^T J and J^T r.

Arguments travel as tuples of arrays, because compiled code takes no records:

- ``state``: pose (45,), shape (10,), root rotation (3, 3), translation (3,), scale (1,).
- ``rig``: rest joints, their shape directions, parents, and template, shape directions, pose directions, weights of the
  vertices used: five fingertips first, then any that silhouette lines refer to.
- ``seen``: joint order (21,), K (3, 3), pixels (21, 2) and weights (21,), metres (21, 3) and weights (21,), whether metres are
  only relative (1,), then lines: point (L,), normal (L, 2), offset (L,), weight (L,), and the robust width (1,).
- ``prior``: pose mean (45,) and precision (45, 45); limit rows (45, 45), low, high (45,) and weight (1,); mean (62,) and
  weights (62,) of shape and scale; the start's state and the weights (62,) that hold the hand near it.

Weights are one over standard deviations; zero leaves a row out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from handviz.fit.chain import (
    COLUMNS,
    JOINTS,
    POSE,
    ROOT_TURN,
    SCALE,
    TRANSLATION,
    bend_points,
    corrective_steps,
    into_camera,
    joint_jacobian,
    point_jacobian,
    pose_chain,
    skin_points,
)
from handviz.render.compiled import compiled

Array = npt.NDArray[Any]
NEAREST_M = 0.02


@compiled
def place(state: tuple[Array, ...], rig: tuple[Array, ...]) -> tuple[Array, Array]:
    """Return the 16 joints and the rig's vertices (N, 3) in the camera frame and their derivatives (N, 3, 62)."""
    pose, shape, R, translation, scale = state
    rest_J3, rest_dirs, parents, template, shape_dirs, pose_dirs, weights = rig
    local, turned, rest, posed = pose_chain(pose, shape, R, rest_J3, rest_dirs, parents)
    flat = bend_points(shape, local, template, shape_dirs, pose_dirs)
    vertices = skin_points(flat, turned, rest, posed, weights)
    joint_rows, axes = joint_jacobian(pose, turned, posed, rest_dirs, parents)
    steps = corrective_steps(pose, local)
    vertex_rows = point_jacobian(
        turned, rest, posed, flat, joint_rows, axes, steps, rest_dirs, parents, shape_dirs, pose_dirs, weights
    )
    points, rows = np.empty((JOINTS + len(flat), 3)), np.zeros((JOINTS + len(flat), 3, COLUMNS))
    into_camera(posed, joint_rows, scale[0], translation, 0, points, rows)
    into_camera(vertices, vertex_rows, scale[0], translation, JOINTS, points, rows)
    return points, rows


@compiled
def add_row(row: Array, factor: float, residual: float, H: Array, g: Array) -> None:
    """Add a row times a factor, with its residual, to the upper half of J^T J and to J^T r."""
    for i in range(COLUMNS):
        value = row[i] * factor
        if value != 0.0:
            g[i] += value * residual
            for j in range(i, COLUMNS):
                H[i, j] += value * factor * row[j]


@compiled
def project_row(x: Array, rows: Array, K: Array, normal_u: float, normal_v: float, out: Array) -> tuple[float, float]:
    """Write the derivative of normal . pixel and return the pixel; points nearer than 2 cm count as at 2 cm."""
    z = max(x[2], NEAREST_M)
    u, v = x[0] / z, x[1] / z
    along_u = normal_u * K[0, 0] / z
    along_v = (normal_u * K[0, 1] + normal_v * K[1, 1]) / z
    along_z = -(along_u * u + along_v * v)
    for c in range(COLUMNS):
        out[c] = along_u * rows[0, c] + along_v * rows[1, c] + along_z * rows[2, c]
    return K[0, 0] * u + K[0, 1] * v + K[0, 2], K[1, 1] * v + K[1, 2]


@compiled
def robust(residual: float, width: float) -> tuple[float, float]:
    """Return Huber's cost of a residual in standard deviations and the factor on its row."""
    size = abs(residual)
    if size <= width:
        return 0.5 * residual * residual, 1.0
    return width * (size - 0.5 * width), math.sqrt(width / size)


@compiled
def add_seen(points: Array, rows: Array, seen: tuple[Array, ...], H: Array, g: Array) -> float:
    """Add the observations: pixels, metres and silhouette lines. Return their cost."""
    order, K, pixels, pixel_weight, metres, metre_weight, relative, line_point, line_normal, line_offset, line_weight, width = (
        seen
    )
    row, cost = np.empty(COLUMNS), 0.0
    for j in range(21):
        if pixel_weight[j] > 0.0:
            for axis in range(2):
                uv = project_row(points[order[j]], rows[order[j]], K, 1.0 - axis, axis * 1.0, row)
                residual = pixel_weight[j] * (uv[axis] - pixels[j, axis])
                add, factor = robust(residual, width[0])
                cost += add
                add_row(row, factor * pixel_weight[j], factor * residual, H, g)
    for i in range(len(line_point)):
        p, nu, nv = line_point[i], line_normal[i, 0], line_normal[i, 1]
        uv = project_row(points[p], rows[p], K, nu, nv, row)
        residual = line_weight[i] * (nu * uv[0] + nv * uv[1] - line_offset[i])
        add, factor = robust(residual, width[0])
        cost += add
        add_row(row, factor * line_weight[i], factor * residual, H, g)
    return cost + add_metres(points, rows, order, metres, metre_weight, relative[0] > 0, H, g)


@compiled
def add_metres(
    points: Array, rows: Array, order: Array, metres: Array, weight: Array, relative: bool, H: Array, g: Array
) -> float:
    """Add 3D joints; relative ones are compared after both sides are moved to their weighted mean."""
    cost, total = 0.0, 0.0
    centre, row = np.zeros(3), np.empty(COLUMNS)
    centre_rows = np.zeros((3, COLUMNS))
    for j in range(21):
        total += weight[j] * weight[j]
    for j in range(21 if relative and total > 0.0 else 0):
        share = weight[j] * weight[j] / total
        for k in range(3):
            centre[k] += share * (points[order[j], k] - metres[j, k])
            for c in range(COLUMNS):
                centre_rows[k, c] += share * rows[order[j], k, c]
    for j in range(21):
        w = weight[j]
        for k in range(3 if w > 0.0 else 0):
            residual = w * (points[order[j], k] - metres[j, k] - centre[k])
            cost += 0.5 * residual * residual
            for c in range(COLUMNS):
                row[c] = rows[order[j], k, c] - centre_rows[k, c]
            add_row(row, w, residual, H, g)
    return cost


@compiled
def add_pose_prior(pose: Array, mean: Array, precision: Array, H: Array, g: Array) -> float:
    """Add the Gaussian over poses; return its cost."""
    cost = 0.0
    for i in range(POSE):
        pull = 0.0
        for j in range(POSE):
            pull += precision[i, j] * (pose[j] - mean[j])
            H[i, j] += precision[i, j]
        g[i] += pull
        cost += 0.5 * (pose[i] - mean[i]) * pull
    return cost


@compiled
def add_limits(pose: Array, rows: Array, low: Array, high: Array, weight: float, H: Array, g: Array) -> float:
    """Add a row for each anatomical angle outside its range; return their cost."""
    cost, row = 0.0, np.zeros(COLUMNS)
    for i in range(POSE):
        first, angle = 3 * (i // 3), 0.0
        for j in range(first, first + 3):
            angle += rows[i, j] * pose[j]
        excess = weight * (max(angle - high[i], 0.0) + min(angle - low[i], 0.0))
        if excess != 0.0:
            for j in range(first, first + 3):
                row[j] = rows[i, j]
            add_row(row, weight, excess, H, g)
            cost += 0.5 * excess * excess
            for j in range(first, first + 3):
                row[j] = 0.0
    return cost


@compiled
def add_pull(column: int, weight: float, distance: float, H: Array, g: Array) -> float:
    """Add one parameter's pull towards a value that it is ``distance`` away from; return its cost."""
    H[column, column] += weight * weight
    g[column] += weight * weight * distance
    return 0.5 * (weight * distance) ** 2


@compiled
def add_prior(state: tuple[Array, ...], prior: tuple[Array, ...], H: Array, g: Array) -> float:
    """Add joint limits, pose prior, shape and scale priors and the pull towards the start. Return their cost."""
    pose, shape, R, translation, scale = state
    mean, precision, limit_rows, low, high, limit_weight, plain_mean, plain_weight, pose0, shape0, R0, translation0, hold = prior
    cost = add_pose_prior(pose, mean, precision, H, g)
    cost += add_limits(pose, limit_rows, low, high, limit_weight[0], H, g)
    for i in range(POSE):
        cost += add_pull(i, hold[i], pose[i] - pose0[i], H, g)
    for i in range(len(shape)):
        cost += add_pull(POSE + i, plain_weight[POSE + i], shape[i] - plain_mean[POSE + i], H, g)
        cost += add_pull(POSE + i, hold[POSE + i], shape[i] - shape0[i], H, g)
    turn = turn_between(R, R0)
    for i in range(3):
        cost += add_pull(ROOT_TURN + i, hold[ROOT_TURN + i], turn[i], H, g)
        cost += add_pull(TRANSLATION + i, hold[TRANSLATION + i], translation[i] - translation0[i], H, g)
    return cost + add_pull(SCALE, plain_weight[SCALE], math.log(scale[0]) - plain_mean[SCALE], H, g)


@compiled
def turn_between(R: Array, R0: Array) -> tuple[float, float, float]:
    """Return the rotation vector that takes R0 to R; zero at exactly half a turn, where its direction is not unique."""
    x = y = z = trace = 0.0
    for k in range(3):
        x += 0.5 * (R[2, k] * R0[1, k] - R[1, k] * R0[2, k])
        y += 0.5 * (R[0, k] * R0[2, k] - R[2, k] * R0[0, k])
        z += 0.5 * (R[1, k] * R0[0, k] - R[0, k] * R0[1, k])
        trace += R[0, k] * R0[0, k] + R[1, k] * R0[1, k] + R[2, k] * R0[2, k]
    sine = math.sqrt(x * x + y * y + z * z)
    stretch = math.atan2(sine, 0.5 * (trace - 1.0)) / sine if sine > 1e-9 else 1.0
    return stretch * x, stretch * y, stretch * z


@compiled
def evaluate(
    state: tuple[Array, ...], rig: tuple[Array, ...], seen: tuple[Array, ...], prior: tuple[Array, ...]
) -> tuple[float, Array, Array]:
    """Return cost, J^T J (62, 62; upper half) and J^T r (62,) at a state."""
    H, g = np.zeros((COLUMNS, COLUMNS)), np.zeros(COLUMNS)
    points, rows = place(state, rig)
    cost = add_seen(points, rows, seen, H, g) + add_prior(state, prior, H, g)
    return cost, H, g
