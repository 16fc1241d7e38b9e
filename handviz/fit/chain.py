"""Points of a hand and their analytic derivatives, compiled: the 16 joints and any vertices, without the rest of the mesh.

Parameters of one hand, in columns: pose 45 (axis-angle), shape 10, root turn 3, translation 3, log scale 1. The
root turn is a small left-multiplied rotation in the camera frame about the wrist; a joint's axis-angle reaches its
rotation through the right Jacobian of SO(3), exp(v + d) = exp(v) exp(Jr(v) d). Turning joint j by w moves all it carries by
(R_j w) x (point - joint): the geometric Jacobian.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from handviz.render.compiled import compiled

Array = npt.NDArray[Any]
JOINTS, SHAPES, POSE = 16, 10, 45
ROOT_TURN, TRANSLATION, SCALE, COLUMNS = 55, 58, 61, 62


@compiled
def rotation_of(v: Array, R: Array) -> None:
    """Write the rotation matrix of an axis-angle vector (3,)."""
    x, y, z = v[0], v[1], v[2]
    square = x * x + y * y + z * z
    angle = math.sqrt(square)
    if angle < 1e-6:
        a, b = 1.0, 0.5
    else:
        a, b = math.sin(angle) / angle, (1.0 - math.cos(angle)) / square
    R[0, 0], R[0, 1], R[0, 2] = 1.0 - b * (y * y + z * z), b * x * y - a * z, b * x * z + a * y
    R[1, 0], R[1, 1], R[1, 2] = b * x * y + a * z, 1.0 - b * (x * x + z * z), b * y * z - a * x
    R[2, 0], R[2, 1], R[2, 2] = b * x * z - a * y, b * y * z + a * x, 1.0 - b * (x * x + y * y)


@compiled
def right_jacobian(v: Array, J: Array) -> None:
    """Write the right Jacobian (3, 3) of SO(3) at an axis-angle vector."""
    x, y, z = v[0], v[1], v[2]
    square = x * x + y * y + z * z
    angle = math.sqrt(square)
    if angle < 1e-4:
        a, b = 0.5, 1.0 / 6.0
    else:
        a, b = (1.0 - math.cos(angle)) / square, (angle - math.sin(angle)) / (square * angle)
    J[0, 0], J[0, 1], J[0, 2] = 1.0 - b * (y * y + z * z), b * x * y + a * z, b * x * z - a * y
    J[1, 0], J[1, 1], J[1, 2] = b * x * y - a * z, 1.0 - b * (x * x + z * z), b * y * z + a * x
    J[2, 0], J[2, 1], J[2, 2] = b * x * z + a * y, b * y * z - a * x, 1.0 - b * (x * x + y * y)


@compiled
def multiply(A: Array, B: Array, C: Array) -> None:
    """Write C = A B for 3x3 matrices."""
    for i in range(3):
        for j in range(3):
            C[i, j] = A[i, 0] * B[0, j] + A[i, 1] * B[1, j] + A[i, 2] * B[2, j]


@compiled
def pose_chain(
    pose: Array, shape: Array, R_root: Array, rest_J3: Array, rest_dirs_J3S: Array, parents: Array
) -> tuple[Array, Array, Array, Array]:
    """Return local rotations, global rotations (16, 3, 3), rest joints and posed joints (16, 3), before scale and translation."""
    local, turned = np.empty((JOINTS, 3, 3)), np.empty((JOINTS, 3, 3))
    rest, posed = np.empty((JOINTS, 3)), np.empty((JOINTS, 3))
    for j in range(JOINTS):
        for k in range(3):
            rest[j, k] = rest_J3[j, k]
            for s in range(SHAPES):
                rest[j, k] += rest_dirs_J3S[j, k, s] * shape[s]
    for k in range(3):
        posed[0, k] = rest[0, k]
        for c in range(3):
            local[0, k, c] = R_root[k, c]
            turned[0, k, c] = R_root[k, c]
    for j in range(1, JOINTS):
        p = parents[j]
        rotation_of(pose[3 * (j - 1) : 3 * j], local[j])
        multiply(turned[p], local[j], turned[j])
        for k in range(3):
            offset = 0.0
            for c in range(3):
                offset += turned[p, k, c] * (rest[j, c] - rest[p, c])
            posed[j, k] = posed[p, k] + offset
    return local, turned, rest, posed


@compiled
def bend_points(shape: Array, local: Array, template_P3: Array, shape_dirs_P3S: Array, pose_dirs_P3C: Array) -> Array:
    """Return vertices (P, 3) in the flat frame, with shape and pose correctives."""
    feature = np.empty(135)
    for j in range(1, JOINTS):
        for a in range(3):
            for b in range(3):
                feature[9 * (j - 1) + 3 * a + b] = local[j, a, b] - (1.0 if a == b else 0.0)
    flat = np.empty((len(template_P3), 3))
    for p in range(len(flat)):
        for k in range(3):
            total = template_P3[p, k]
            for s in range(SHAPES):
                total += shape_dirs_P3S[p, k, s] * shape[s]
            for c in range(135):
                total += pose_dirs_P3C[p, k, c] * feature[c]
            flat[p, k] = total
    return flat


@compiled
def skin_points(flat: Array, turned: Array, rest: Array, posed: Array, weights_PJ: Array) -> Array:
    """Return vertices (P, 3) moved by linear blend skinning."""
    out = np.zeros((len(flat), 3))
    for p in range(len(flat)):
        for j in range(JOINTS):
            w = weights_PJ[p, j]
            if w == 0.0:
                continue
            x, y, z = flat[p, 0] - rest[j, 0], flat[p, 1] - rest[j, 1], flat[p, 2] - rest[j, 2]
            for k in range(3):
                out[p, k] += w * (turned[j, k, 0] * x + turned[j, k, 1] * y + turned[j, k, 2] * z + posed[j, k])
    return out


@compiled
def joint_jacobian(pose: Array, turned: Array, posed: Array, rest_dirs_J3S: Array, parents: Array) -> tuple[Array, Array]:
    """Return derivatives (16, 3, 62) of posed joints and the world axes (16, 3, 3) about which each pose value turns its joint.

    Column a of ``axes[j]`` is R_j Jr(v_j) e_a; the root's are the camera's own axes.
    """
    out, axes, J = np.zeros((JOINTS, 3, COLUMNS)), np.empty((JOINTS, 3, 3)), np.empty((3, 3))
    for k in range(3):
        for c in range(3):
            axes[0, k, c] = 1.0 if k == c else 0.0
        for s in range(SHAPES):
            out[0, k, POSE + s] = rest_dirs_J3S[0, k, s]
    for j in range(1, JOINTS):
        p = parents[j]
        right_jacobian(pose[3 * (j - 1) : 3 * j], J)
        multiply(turned[j], J, axes[j])
        for k in range(3):
            for s in range(SHAPES):
                total = out[p, k, POSE + s]
                for c in range(3):
                    total += turned[p, k, c] * (rest_dirs_J3S[j, c, s] - rest_dirs_J3S[p, c, s])
                out[j, k, POSE + s] = total
        a = p
        while a >= 0:
            x, y, z = posed[j, 0] - posed[a, 0], posed[j, 1] - posed[a, 1], posed[j, 2] - posed[a, 2]
            add_turn(out[j], axes[a], x, y, z, ROOT_TURN if a == 0 else 3 * (a - 1), 1.0)
            a = parents[a]
    return out, axes


@compiled
def add_turn(out: Array, axes: Array, x: float, y: float, z: float, column: int, weight: float) -> None:
    """Add weight * (axis x lever) for three axes to three columns of a point's derivative (3, 62)."""
    for c in range(3):
        ax, ay, az = axes[0, c], axes[1, c], axes[2, c]
        out[0, column + c] += weight * (ay * z - az * y)
        out[1, column + c] += weight * (az * x - ax * z)
        out[2, column + c] += weight * (ax * y - ay * x)


@compiled
def corrective_steps(pose: Array, local: Array) -> Array:
    """Return d vec(R_j) / d v_j, row-major (16, 9, 3), of each joint's local rotation by its axis-angle; zero for the root."""
    steps, J, cross, step = np.zeros((JOINTS, 9, 3)), np.empty((3, 3)), np.zeros((3, 3)), np.empty((3, 3))
    for j in range(1, JOINTS):
        right_jacobian(pose[3 * (j - 1) : 3 * j], J)
        for a in range(3):
            cross[0, 1], cross[0, 2], cross[1, 2] = -J[2, a], J[1, a], -J[0, a]
            cross[1, 0], cross[2, 0], cross[2, 1] = J[2, a], -J[1, a], J[0, a]
            multiply(local[j], cross, step)
            for i in range(9):
                steps[j, i, a] = step[i // 3, i % 3]
    return steps


@compiled
def add_bone(
    out: Array, j: int, w: float, x: float, y: float, z: float, turned: Array, posed: Array, axes: Array, parents: Array
) -> None:
    """Add what turning a bone's ancestors does to a point (3, 62) that it carries with weight w, (x, y, z) in its rest frame."""
    hx = posed[j, 0] + turned[j, 0, 0] * x + turned[j, 0, 1] * y + turned[j, 0, 2] * z
    hy = posed[j, 1] + turned[j, 1, 0] * x + turned[j, 1, 1] * y + turned[j, 1, 2] * z
    hz = posed[j, 2] + turned[j, 2, 0] * x + turned[j, 2, 1] * y + turned[j, 2, 2] * z
    a = j
    while a >= 0:
        column = ROOT_TURN if a == 0 else 3 * (a - 1)
        add_turn(out, axes[a], hx - posed[a, 0], hy - posed[a, 1], hz - posed[a, 2], column, w)
        a = parents[a]


@compiled
def add_shape(out: Array, j: int, w: float, turned: Array, joint_row: Array, point_dirs_3S: Array, rest_dirs_3S: Array) -> None:
    """Add what shape does to a point (3, 62) that bone j carries with weight w."""
    for k in range(3):
        for s in range(SHAPES):
            total = joint_row[k, POSE + s]
            for c in range(3):
                total += turned[j, k, c] * (point_dirs_3S[c, s] - rest_dirs_3S[c, s])
            out[k, POSE + s] += w * total


@compiled
def add_correctives(out: Array, weights_J: Array, turned: Array, steps: Array, pose_dirs_3C: Array) -> None:
    """Add what pose correctives do to a point (3, 62)."""
    blend = np.zeros((3, 3))
    for j in range(JOINTS):
        for k in range(9):
            blend[k // 3, k % 3] += weights_J[j] * turned[j, k // 3, k % 3]
    for j in range(1, JOINTS):
        for a in range(3):
            for c in range(3):
                moved = 0.0
                for i in range(9):
                    moved += pose_dirs_3C[c, 9 * (j - 1) + i] * steps[j, i, a]
                for k in range(3):
                    out[k, 3 * (j - 1) + a] += blend[k, c] * moved


@compiled
def point_jacobian(
    turned: Array, rest: Array, posed: Array, flat: Array, joint_rows: Array, axes: Array, steps: Array, rest_dirs_J3S: Array,
    parents: Array, shape_dirs_P3S: Array, pose_dirs_P3C: Array, weights_PJ: Array,
) -> Array:  # fmt: skip
    """Return derivatives (P, 3, 62) of skinned vertices, correctives included, before scale and translation."""
    out = np.zeros((len(flat), 3, COLUMNS))
    for p in range(len(flat)):
        for j in range(JOINTS):
            w = weights_PJ[p, j]
            if w != 0.0:
                x, y, z = flat[p, 0] - rest[j, 0], flat[p, 1] - rest[j, 1], flat[p, 2] - rest[j, 2]
                add_bone(out[p], j, w, x, y, z, turned, posed, axes, parents)
                add_shape(out[p], j, w, turned, joint_rows[j], shape_dirs_P3S[p], rest_dirs_J3S[j])
        add_correctives(out[p], weights_PJ[p], turned, steps, pose_dirs_P3C[p])
    return out


@compiled
def into_camera(points: Array, rows: Array, scale: float, translation: Array, first: int, out: Array, out_rows: Array) -> None:
    """Write points (N, 3) and their derivatives after scale and translation, from row ``first`` on."""
    for n in range(len(points)):
        for k in range(3):
            out[first + n, k] = scale * points[n, k] + translation[k]
            for c in range(TRANSLATION):
                out_rows[first + n, k, c] = scale * rows[n, k, c]
            out_rows[first + n, k, TRANSLATION + k] = 1.0
            out_rows[first + n, k, SCALE] = scale * points[n, k]
