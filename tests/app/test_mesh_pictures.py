"""Meshes laid over the picture: shaded once, where the result is made, and never another frame's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from handviz.app.mesh_pictures import make_ready, outlines_of, picture_of
from handviz.app.overlay import OverlayContext
from handviz.app.picture import drawing
from handviz.app.view_options import ViewOptions
from handviz.export import mesh_overlay
from handviz.records import FrameResult

pytestmark = pytest.mark.gui
MESH = ViewOptions(skeleton=False, boxes=False, mesh_overlay=True)
BOTH = replace(MESH, mask=True)


@pytest.fixture
def shaded_in(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the threads in which meshes were shaded."""
    picture_of.cache_clear()
    outlines_of.cache_clear()
    threads: list[str] = []
    shade = mesh_overlay.mesh_picture

    def noted(*arguments: Any, **named: Any) -> Any:
        threads.append(threading.current_thread().name)
        return shade(*arguments, **named)

    monkeypatch.setattr(mesh_overlay, "mesh_picture", noted)
    return threads


def elsewhere(act: Callable[[], None]) -> None:
    thread = threading.Thread(target=act, name="analysis")
    thread.start()
    thread.join(60)


def painted(result: FrameResult, options: ViewOptions = MESH) -> np.ndarray:
    return drawing(OverlayContext(options))(result)


def test_painting_what_is_ready_shades_nothing(results: Any, shaded_in: list[str], qapp: Any) -> None:
    result = results(3)
    elsewhere(partial(make_ready, result, BOTH))
    assert shaded_in == ["analysis"]
    ready = [painted(result, options) for options in (MESH, BOTH, replace(MESH, mirror=True))]
    assert shaded_in == ["analysis"]
    assert (ready[0] != result.frame.rgb).any(-1).sum() > 500
    picture_of.cache_clear()
    outlines_of.cache_clear()
    np.testing.assert_array_equal(painted(result, BOTH), ready[1])
    assert len(shaded_in) == 2, "what is not ready is made when it is painted"


def test_a_picture_is_of_its_own_mesh_and_camera(results: Any, hands: Any, shaded_in: list[str], qapp: Any) -> None:
    first = results(3)
    make_ready(first, MESH)
    refined = results(3, (hands(3, place=(0.03, 0.05, 0.5)),))
    camera = first.frame.camera
    zoomed = replace(first, frame=replace(first.frame, camera=replace(camera, K=camera.K * [[1.2], [1.2], [1]])))
    pictures = [painted(result) for result in (first, refined, zoomed, first)]
    assert (pictures[0] != pictures[1]).any() and (pictures[0] != pictures[2]).any()
    np.testing.assert_array_equal(pictures[3], pictures[0])
    assert len(shaded_in) == 3


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (replace(MESH, mesh_overlay=False), 0),
        (MESH, 1),
        (replace(MESH, mesh_overlay=False, mask=True), 1),
        (replace(MESH, side_by_side=True), 2),
    ],
    ids=["off", "mesh", "outline", "side by side"],
)
def test_what_is_painted_is_made_ready(
    results: Any, hands: Any, shaded_in: list[str], qapp: Any, options: ViewOptions, count: int
) -> None:
    result = replace(results(3), compared=(hands(3, place=(0.03, 0.05, 0.5)),))
    make_ready(result, options)
    assert len(shaded_in) == count
    painted(result, options)
    assert len(shaded_in) == count


def test_what_can_not_be_seen_is_left_out(results: Any, hands: Any, shaded_in: list[str], qapp: Any) -> None:
    hand = hands(3)
    behind = replace(hand, mesh=replace(hand.mesh, vertices_camera_m=hand.mesh.vertices_camera_m - [0, 0, 2]))
    result = results(3, (behind,))
    make_ready(result, BOTH)
    np.testing.assert_array_equal(painted(result, BOTH), result.frame.rgb)
