"""The default hand's triangles: rings around the palm and the fingers, sewn together, and an initial position for every vertex.

The palm is a tube of rings of 28 vertices that thins out to 16 at the wrist. Its far end is four finger rings of 10 side
by side, which share their three vertices at each web. The thumb grows out of a hole of 10 vertices in its radial side.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from hand_build.anatomy import CUT_X, FINGER_BY_NAME, Array, Finger, unit
from hand_build.surface import Distance, finger_distance

SIDES = 10
COLUMNS = 28
# How far each palm ring lies from the webs (0) to the wrist (1), and the rings towards the wrist with fewer vertices.
FULL_ROWS = (0.0, 0.10, 0.20, 0.31, 0.43, 0.55, 0.67, 0.79)
THIN_ROWS = ((0.90, 22),)
WRIST_SIDES = 16
THUMB_ROWS = (3, 6)
RADIAL_COLUMN = 27

Ints = npt.NDArray[np.int64]


@dataclass(slots=True)
class Mesh:
    """A mesh under construction: vertices, triangles, and by name the rings of vertices and the fingertips."""

    points: list[Array] = field(default_factory=list)
    faces: list[tuple[int, int, int]] = field(default_factory=list)
    rings: dict[str, list[list[int]]] = field(default_factory=dict)
    tips: dict[str, int] = field(default_factory=dict)

    def add(self, point: Array) -> int:
        """Add a vertex and return its number."""
        self.points.append(np.asarray(point, float))
        return len(self.points) - 1


def ring_frame(finger: Finger, station: float) -> tuple[Array, Array, Array, Array]:
    """Return centre, axis, dorsal and side of a cross-section; station counts joints, 0 at the base and 3 at the tip."""
    k = min(int(station), 2)
    t = station - k
    centre = finger.joints[k] + t * (finger.joints[k + 1] - finger.joints[k])
    steps = np.diff(finger.joints, axis=0)
    # The axis turns gradually from bone to bone around each joint, so that rings there halve the angle.
    blend = np.clip((t - 0.5) / 1.0, -0.5, 0.5)
    other = int(np.clip(k + (1 if blend > 0 else -1), 0, 2))
    axis = unit(unit(steps[k]) * (1 - abs(blend)) + unit(steps[other]) * abs(blend))
    up = finger.dorsal[k] * (1 - t) + finger.dorsal[k + 1] * t
    up = unit(up - (up @ axis) * axis)
    side = np.cross(up, axis)
    return centre, axis, up, side


def ring_points(finger: Finger, station: float, distance: Distance) -> Array:
    """Return surface points around a finger: from its radial side over the back to the far side and the pad."""
    centre, _, up, side = ring_frame(finger, station)
    angles = np.arange(SIDES) * 2 * np.pi / SIDES
    rays = np.cos(angles)[:, None] * side + np.sin(angles)[:, None] * up
    low, high = np.zeros(SIDES), np.full(SIDES, 0.03)
    for _ in range(30):
        middle = (low + high) / 2
        inside = distance(centre + middle[:, None] * rays) < 0
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.asarray(centre + low[:, None] * rays)


def outward(mesh: Mesh) -> Ints:
    """Return the triangles (F, 3), wound counter-clockwise seen from outside."""
    return np.array(mesh.faces)[:, ::-1].copy()


def build_mesh() -> Mesh:
    """Return the whole mesh with initial positions."""
    mesh = Mesh()
    outline = _web_ring(mesh)
    _palm(mesh, outline)
    for name in ("index", "middle", "ring", "little"):
        _finger_tube(mesh, FINGER_BY_NAME[name], mesh.rings[name][0])
    return mesh


def _web_ring(mesh: Mesh) -> list[int]:
    """Make the four finger rings at the webs with shared vertices; return the palm's outer ring of 28."""
    fingers = [FINGER_BY_NAME[name] for name in ("index", "middle", "ring", "little")]
    circles = [ring_points(f, f.rings[0], partial(finger_distance, finger=f)) for f in fingers]
    ids: list[list[int]] = []
    for n, circle in enumerate(circles):
        ring = [-1] * SIDES
        for slot in range(SIDES):
            shared = {1: 4, 0: 5, 9: 6}.get(slot)
            if n > 0 and shared is not None:
                ring[slot] = ids[n - 1][shared]
                mesh.points[ring[slot]] = 0.5 * (mesh.points[ring[slot]] + circle[slot])
            else:
                ring[slot] = mesh.add(circle[slot])
        ids.append(ring)
        mesh.rings[fingers[n].name] = [ring]
    back = [ids[0][1], *(v for ring in ids for v in ring[2:5])]
    pad = [ids[3][6], *(v for ring in reversed(ids) for v in ring[7:10])]
    return [*back, ids[3][5], *pad, ids[0][0]]


def _wrist_curve(fractions: Array) -> Array:
    """Points of the wrist opening at fractions of the way round, in the palm ring's order."""
    # The first column lies where the back meets the thumb's side.
    angle = np.radians(25.0) + fractions * 2 * np.pi
    centre, wide, deep = np.array([CUT_X, 0.003, -0.001]), 0.029, 0.020
    return np.asarray(centre + np.stack([0 * angle, deep * np.sin(angle), wide * np.cos(angle)], -1))


def _towards_thumb(column: Array, t: float, p: Array) -> Array:
    """Offsets that draw the palm's radial side out along the thumb, so that the hole lies around its root."""
    around = np.minimum(np.abs(column - RADIAL_COLUMN), COLUMNS - np.abs(column - RADIAL_COLUMN))
    pull = np.exp(-((around / 2.5) ** 2) - ((t - 0.45) / 0.22) ** 2)
    thumb = FINGER_BY_NAME["thumb"].joints
    goal = thumb[0] + 0.45 * (thumb[1] - thumb[0])
    return np.asarray(0.75 * pull[:, None] * (goal - p) * np.array([0.4, 0.2, 1.0]))


def _palm(mesh: Mesh, outline: list[int]) -> None:
    front = np.array([mesh.points[v] for v in outline])

    def row_points(t: float, count: int) -> Array:
        where = np.arange(count) / count
        column = where * COLUMNS
        low = np.floor(column).astype(int) % COLUMNS
        part = (column - np.floor(column))[:, None]
        start = front[low] * (1 - part) + front[(low + 1) % COLUMNS] * part
        straight = start * (1 - t) + _wrist_curve(where) * t
        # Start outside the flesh, so that every vertex falls onto the near side of it.
        swell = np.stack([0 * column, np.sin(2 * np.pi * column / COLUMNS), 0 * column], -1) * np.sin(np.pi * t)
        swell *= np.where(swell[:, 1:2] > 0, 0.010, 0.030)
        return np.asarray(straight + swell + _towards_thumb(column, t, straight))

    rows = [outline]
    for k, t in enumerate(FULL_ROWS[1:], start=1):
        inside_hole = THUMB_ROWS[0] < k < THUMB_ROWS[1]
        points = row_points(t, COLUMNS)
        rows.append([-1 if inside_hole and c == RADIAL_COLUMN else mesh.add(points[c]) for c in range(COLUMNS)])
    hole_rows = range(THUMB_ROWS[0], THUMB_ROWS[1])
    for k in range(len(rows) - 1):
        skip = (RADIAL_COLUMN, RADIAL_COLUMN - 1) if k in hole_rows else ()
        _sew_equal(mesh, rows[k], rows[k + 1], skip)
    previous = rows[-1]
    for t, count in (*THIN_ROWS, (1.0, WRIST_SIDES)):
        ring = [mesh.add(p) for p in row_points(t, count)]
        _sew(mesh, previous, ring)
        mesh.rings.setdefault("thin", []).append(ring)
        previous = ring
    mesh.rings["wrist"] = [mesh.rings["thin"].pop()]
    mesh.rings["palm"] = rows
    first, last = THUMB_ROWS
    back = [rows[k][0] for k in range(last, first - 1, -1)]
    pad = [rows[k][RADIAL_COLUMN - 1] for k in range(first, last + 1)]
    hole = [rows[first][RADIAL_COLUMN], *pad, rows[last][RADIAL_COLUMN], *back]
    _thumb_tube(mesh, hole)


def _thumb_tube(mesh: Mesh, hole: list[int]) -> None:
    finger = FINGER_BY_NAME["thumb"]
    start = finger.rings[0]
    circle = ring_points(finger, start, partial(finger_distance, finger=finger))
    # Match the hole to the thumb's ring by the rotation with the shortest seams.
    orders = [[hole[(o + i) % SIDES] for i in range(SIDES)] for o in range(SIDES)]
    costs = [float(np.linalg.norm(np.array([mesh.points[v] for v in order]) - circle, axis=1).sum()) for order in orders]
    best = orders[int(np.argmin(costs))]
    mesh.rings["thumb"] = [best]
    _finger_tube(mesh, finger, best)


def _finger_tube(mesh: Mesh, finger: Finger, first: list[int]) -> None:
    previous = first
    for station in finger.rings[1:]:
        ring = [mesh.add(p) for p in ring_points(finger, float(station), partial(finger_distance, finger=finger))]
        _sew_equal(mesh, ring, previous, ())
        mesh.rings[finger.name].append(ring)
        previous = ring
    tip = mesh.add(finger.joints[3])
    mesh.tips[finger.name] = tip
    for i in range(SIDES):
        mesh.faces.append((previous[i], tip, previous[(i + 1) % SIDES]))


def _sew_equal(mesh: Mesh, far: list[int], near: list[int], skip: tuple[int, ...]) -> None:
    n = len(far)
    for i in range(n):
        if i in skip:
            continue
        a, b, c, d = far[i], far[(i + 1) % n], near[(i + 1) % n], near[i]
        mesh.faces += [(a, b, c), (a, c, d)]


def _sew(mesh: Mesh, far: list[int], near: list[int]) -> None:
    """Join two rings of different size with triangles, walking both by the fraction of the way round."""
    i = j = 0
    n, m = len(far), len(near)
    while i < n or j < m:
        if j == m or (i < n and (i + 1) / n <= (j + 1) / m):
            mesh.faces.append((far[i % n], far[(i + 1) % n], near[j % m]))
            i += 1
        else:
            mesh.faces.append((far[i % n], near[(j + 1) % m], near[j % m]))
            j += 1
