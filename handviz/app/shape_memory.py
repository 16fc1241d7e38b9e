"""What was seen of a person's hand shape, averaged over time, and the shape that is held. No Qt."""

from __future__ import annotations

import csv
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from handviz.app.shape_view import shape_names
from handviz.estimate.registry import gives_mesh
from handviz.geometry.camera import FloatArray
from handviz.pipeline.config import SessionConfig
from handviz.records import FrameResult

# About twenty seconds of one hand.
LOOKS = 600
# A hand with a lower score than this says nothing about the shape.
SURE = 0.5
DECIMALS = 4
NO_MESH = "The chosen estimator gives no hand shape. Choose groups-fit, fit or dense to see and hold it."
NO_SHAPE = "There is no hand shape yet. Choose the estimator groups-fit, fit or dense, and show it a hand."
NO_LOOK = "Once a hand is in the picture, its shape is shown here, averaged over time."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShapeState:
    """What the shape page shows: ten values with their spread, over ``looks`` estimates; ``held`` is the shape in force.

    ``hand_model`` is that of the last hand seen, None before the first, when there is nothing to draw. ``words`` say why there
    is nothing; ``tracks`` are (track, words) to choose from, ``track`` None means all of them.
    """

    words: str | None = NO_LOOK
    hand_model: str | None = None
    values: FloatArray | None = None
    spread: FloatArray | None = None
    looks: int = 0
    held: FloatArray | None = None
    tracks: tuple[tuple[int, str], ...] = ()
    track: int | None = None

    @property
    def shown(self) -> FloatArray | None:
        """The shape to draw: the held one, or the mean."""
        if self.hand_model is None:
            return None
        return self.values if self.held is None else self.held


class ShapeMemory:
    """Collects the shapes that one estimator gave with one hand model. All hands count as one person's unless one is chosen."""

    def __init__(self) -> None:
        self.track: int | None = None
        self._looks: deque[tuple[int, FloatArray]] = deque(maxlen=LOOKS)
        self._of: tuple[str, str | None] = "", None
        self._last_t_s: float | None = None

    def clear(self) -> None:
        """Forget everything, as after opening another source."""
        self._looks.clear()
        self._last_t_s = self.track = None

    def choose(self, track: int | None) -> None:
        """Average this hand's shapes alone; None: those of all hands."""
        self.track = track

    def add(self, result: FrameResult, config: SessionConfig) -> None:
        """Take in a result; a held shape says nothing new, nor does the same frame again."""
        models = [hand.mesh.params.hand_model for hand in result.hands if hand.mesh is not None]
        known = self._of[1] if result.estimator == self._of[0] else None
        of = (result.estimator, models[0] if models else known)
        if of != self._of:
            self.clear()
            self._of = of
        if config.hand_shape is not None or result.frame.t_capture_s == self._last_t_s:
            return
        self._last_t_s = result.frame.t_capture_s
        for hand in result.hands:
            if hand.mesh is not None and hand.score >= SURE and np.isfinite(hand.mesh.params.shape).all():
                self._looks.append((hand.track_id, np.asarray(hand.mesh.params.shape, float)))

    def chosen(self) -> FloatArray:
        """Shapes (n, 10) of the chosen hand, or of all of them."""
        shapes = [shape for track, shape in self._looks if self.track in (None, track)]
        return np.array(shapes).reshape(-1, 10)

    def mean(self) -> tuple[float, ...] | None:
        """The mean shape as it is held and saved, None before the first look."""
        shapes = self.chosen()
        return tuple(float(value) for value in shapes.mean(0).round(DECIMALS)) if len(shapes) else None

    def state(self, result: FrameResult | None, config: SessionConfig) -> ShapeState:
        """What the page shows."""
        sides = {} if result is None else {hand.track_id: hand.name for hand in result.hands}
        known = dict.fromkeys(track for track, _ in self._looks if track in sides or track == self.track)
        tracks = tuple((track, sides.get(track, f"#{track}")) for track in known)
        state = ShapeState(hand_model=self._of[1], tracks=tracks, track=self.track)
        if config.hand_shape is not None:
            state = replace(state, held=np.array(config.hand_shape, float))
        if result is not None and not gives_mesh(result.estimator):
            return replace(state, words=NO_MESH, hand_model=None)
        shapes = self.chosen()
        if len(shapes):
            state = replace(state, values=shapes.mean(0), spread=shapes.std(0), looks=len(shapes))
        return state if state.shown is None else replace(state, words=None)


def write_shape_csv(path: Path, state: ShapeState) -> None:
    """Write the ten values that are shown. Raises OSError."""
    assert state.hand_model is not None
    names = shape_names(state.hand_model)
    empty = np.full(len(names), np.nan)
    columns = [empty if column is None else column for column in (state.values, state.spread, state.held)]
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("shape", "mean", "standard_deviation", "held"))
        rows.writerows((name, *(f"{value:.6g}" for value in row)) for name, *row in zip(names, *columns, strict=True))
