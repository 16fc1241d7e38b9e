"""What a hand's mesh must be: every vertex used, no degenerate triangle, a manifold open only at the wrist."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from handviz.geometry.camera import FloatArray

IntArray = npt.NDArray[np.integer[Any]]

MIN_TRIANGLE_AREA_M2 = 1e-12


def mesh_problem(vertices_V3: FloatArray, faces_F3: IntArray) -> str | None:
    """Return what is wrong with a hand's mesh, or None. Vertices in metres.

    Vertices at one place (texture seams) count as one. The mesh must be a manifold with at most one boundary.
    """
    V = len(vertices_V3)
    if len(faces_F3) == 0:
        return "it has no triangles"
    if faces_F3.min() < 0 or faces_F3.max() >= V:
        return f"a triangle refers to a vertex outside 0 to {V - 1}"
    used = np.zeros(V, bool)
    used[faces_F3.reshape(-1)] = True
    if not used.all():
        return f"{int((~used).sum())} vertices belong to no triangle"
    welded = weld(vertices_V3, faces_F3)
    if (triangle_areas(vertices_V3, faces_F3) < MIN_TRIANGLE_AREA_M2).any():
        return "it has degenerate triangles"
    return _edge_problem(welded)


def triangle_areas(vertices_V3: FloatArray, faces_F3: IntArray) -> FloatArray:
    """Return the area (F,) of each triangle."""
    a, b, c = (vertices_V3[faces_F3[:, k]] for k in range(3))
    return np.asarray(0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1))


def weld(vertices_V3: FloatArray, faces_F3: IntArray) -> IntArray:
    """Return the triangles with one index for all vertices at the same position (texture seams closed)."""
    return np.asarray(first_at_place(vertices_V3)[faces_F3])


def first_at_place(vertices_V3: FloatArray, tolerance_m: float = 1e-6) -> IntArray:
    """Return, for each vertex, the first one (V,) at the same position."""
    cells = np.round(vertices_V3 / tolerance_m).astype(np.int64)
    _, first, index = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    return np.asarray(first[index.reshape(-1)])


def boundary_loops(faces_F3: IntArray) -> list[list[int]]:
    """Return the boundary of a manifold mesh as closed vertex loops, each in the direction of its triangles."""
    edges = _directed_edges(faces_F3)
    present = {(int(a), int(b)) for a, b in edges}
    following = {a: b for a, b in present if (b, a) not in present}
    loops = []
    while following:
        start = next(iter(following))
        loop, vertex = [start], following.pop(start)
        while vertex != start and vertex in following:
            loop.append(vertex)
            vertex = following.pop(vertex)
        loops.append(loop)
    return loops


def _directed_edges(faces_F3: IntArray) -> IntArray:
    return np.concatenate([faces_F3[:, [0, 1]], faces_F3[:, [1, 2]], faces_F3[:, [2, 0]]])


def _edge_problem(faces_F3: IntArray) -> str | None:
    edges = _directed_edges(faces_F3)
    _, count = np.unique(edges, axis=0, return_counts=True)
    if (count > 1).any():
        return "its triangles are not wound the same way, or more than two share an edge (parts laid over the skin?)"
    loops = boundary_loops(faces_F3)
    if len(loops) > 1:
        return f"it has {len(loops)} openings; only the wrist may be open"
    return None
