"""Watching a refinement: which hand of which held frame is refined, and which of its iterates is shown. No Qt."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from handviz.app.view_options import RefineSolver, ViewOptions
from handviz.estimate.registry import refines
from handviz.hand.mirror import Side
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.refiner import Refined, Refiner, RefineRequest
from handviz.pipeline.session import SessionState
from handviz.records import FrameResult, HandEstimate

if TYPE_CHECKING:
    from handviz.fit.refinement import Iterate, RefinementTrace

CHOOSE = "Only the dense estimator has a refinement. Choose dense in the panel, or press E until it is selected."
PAUSE = "Pause (Space) to watch how the hand of this frame is refined, step by step."
NO_HAND = "There is no hand in this frame."
NO_SOURCE = "Open a source, choose the dense estimator and pause: the refinement of that frame is shown here."
WAITING = "Waiting for the dense estimator…"
REFINING = "Refining…"
# The ending of the names of terms in pixels.
PIXELS = "_px"
TENTHS_BELOW_MS = 100.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WatchState:
    """What the refinement page shows. ``words`` say why there is no curve; ``hands`` are (track, words) to choose from."""

    words: str | None = NO_SOURCE
    hands: tuple[tuple[int, str], ...] = ()
    track: int | None = None
    solver: RefineSolver = "newton"
    steps: int = 0
    trace: RefinementTrace | None = None
    overlaps: tuple[float | None, ...] = ()
    place: int = 0
    enabled: bool = False
    busy: bool = False


class Watch:
    """Asks for a refinement whenever what is held changes while the page is open, and shows one iterate of it."""

    def __init__(self) -> None:
        self._open = False
        self._seen = False
        self._refiner = Refiner()
        self._state = WatchState()
        self._result: FrameResult | None = None
        self._asked: tuple[object, ...] | None = None
        self._refined: Refined | None = None
        self._track: int | None = None
        self._side: Side | None = None
        self._place = 0

    @property
    def state(self) -> WatchState:
        """What the page shows."""
        return self._state

    def close(self) -> None:
        """Stop refining."""
        self._refiner.close()

    def set_open(self, on: bool) -> None:
        """Take in whether the page is visible; nothing is refined while it is not."""
        self._open, self._seen = on, False

    def first_seen(self) -> bool:
        """Whether a curve is there, for the first time since the page was opened."""
        new = not self._seen and self._state.trace is not None
        self._seen = self._seen or new
        return new

    def choose(self, track: int) -> None:
        """Refine this hand, and in frames without it the hand of the same side."""
        self._track = track
        hands = () if self._result is None else self._result.hands
        self._side = next((hand.side for hand in hands if hand.track_id == track), None)

    def scrub(self, place: int) -> None:
        """Show this iterate, or the nearest one there is."""
        last = 0 if self._state.trace is None else len(self._state.trace.iterates) - 1
        self._place = min(max(place, 0), last)

    def look(self, result: FrameResult | None, options: ViewOptions, config: SessionConfig, session: SessionState | None) -> bool:
        """Take in what is shown; return True if the state, and with it perhaps the hand to show, has changed."""
        words = self._why_not(result, config, session) if self._open else NO_SOURCE
        if words is None and result is not None:
            self._ask(result, options, config)
            words = self._take_answer()
        else:
            self._drop()
        new = self._made(result, options, words)
        changed = not _same(new, self._state)
        self._state = new
        return changed

    def applied(self, result: FrameResult) -> FrameResult:
        """The result with the watched hand as it was at the iterate chosen."""
        if self._state.trace is None or self._refined is None or result is not self._result:
            return result
        at_step = self._refined.hands[self._place]
        hands = tuple(at_step if hand.track_id == at_step.track_id else hand for hand in result.hands)
        return replace(result, hands=hands)

    def write_csv(self, path: Path) -> None:
        """Write the curves that are shown, one row per iterate. Raises OSError."""
        state = self._state
        assert state.trace is not None
        names = term_names(state.trace)
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("step", "t_ms", "total", *names, "silhouette_overlap", "best"))
            for step, (iterate, overlap) in enumerate(zip(state.trace.iterates, state.overlaps, strict=True)):
                values = (iterate.t_ms, iterate.total, *(iterate.terms[name] for name in names))
                shown = "nan" if overlap is None else f"{overlap:.6g}"
                rows.writerow((step, *(f"{value:.6g}" for value in values), shown, int(step == state.trace.best)))

    def _why_not(self, result: FrameResult | None, config: SessionConfig, session: SessionState | None) -> str | None:
        if session is None or result is None:
            return NO_SOURCE
        if not refines(config.estimator):
            return CHOOSE
        if session.playing:
            return PAUSE
        if result.estimator != config.estimator:
            return WAITING
        return None if result.hands else NO_HAND

    def _ask(self, result: FrameResult, options: ViewOptions, config: SessionConfig) -> None:
        hand = self._hand_of(result)
        key = (hand.track_id, options.refine_solver, options.refine_steps, config.options())
        if result is self._result and key == self._asked:
            return
        if result is not self._result or self._asked is None or hand.track_id != self._asked[0]:
            # Only for the same hand of the same frame does the old curve stay until the new one is there.
            self._refined = None
        self._result, self._asked = result, key
        request = RefineRequest(
            frame=result.frame, hand=hand, config=config, solver=options.refine_solver, iterations=options.refine_steps
        )
        self._refiner.ask(request)

    def _hand_of(self, result: FrameResult) -> HandEstimate:
        # Another frame has other track numbers.
        return max(result.hands, key=lambda hand: (hand.track_id == self._track, hand.side == self._side))

    def _take_answer(self) -> str | None:
        answer = self._refiner.poll()
        if answer is not None:
            self._refined = answer
            self._place = 0 if answer.trace is None else answer.trace.best
        if self._refined is None:
            return REFINING
        return self._refined.problem

    def _drop(self) -> None:
        self._refiner.cancel()
        self._result = self._asked = self._refined = None

    def _made(self, result: FrameResult | None, options: ViewOptions, words: str | None) -> WatchState:
        state = WatchState(words=words, solver=options.refine_solver, steps=options.refine_steps)
        if result is None or self._asked is None:
            return state
        state = replace(state, enabled=True, busy=self._refiner.busy)
        hands = tuple((hand.track_id, hand.name) for hand in result.hands)
        state = replace(state, hands=hands, track=self._hand_of(result).track_id)
        if self._refined is None or self._refined.trace is None:
            return state
        overlaps = tuple(None if hand.mesh is None else hand.mesh.silhouette_iou for hand in self._refined.hands)
        return replace(state, trace=self._refined.trace, overlaps=overlaps, place=self._place)


def _same(first: WatchState, second: WatchState) -> bool:
    names = ("words", "hands", "track", "solver", "steps", "place", "enabled", "busy")
    return first.trace is second.trace and all(getattr(first, name) == getattr(second, name) for name in names)


def term_names(trace: RefinementTrace) -> tuple[str, ...]:
    """Names of the terms that a trace keeps."""
    return tuple(trace.iterates[0].terms)


def term_title(name: str) -> str:
    """A term's name without its unit."""
    return name.removesuffix(PIXELS)


def term_words(name: str, value: float) -> str:
    """A term's value with its unit."""
    return f"{value:.3g} px" if name.endswith(PIXELS) else f"{value:.3g}"


def terms_line(state: WatchState) -> str:
    """The terms of the iterate shown."""
    if state.trace is None:
        return ""
    terms = state.trace.iterates[state.place].terms
    return ", ".join(f"{term_title(name)} {term_words(name, value)}" for name, value in terms.items())


def iterate_words(state: WatchState) -> str:
    """The text about the iterate shown."""
    if state.trace is None:
        return ""
    iterate: Iterate = state.trace.iterates[state.place]
    last = len(state.trace.iterates) - 1
    overlap = state.overlaps[state.place]
    best = " (best)" if state.place == state.trace.best else ""
    took = f"{iterate.t_ms:.1f} ms" if iterate.t_ms < TENTHS_BELOW_MS else f"{iterate.t_ms:.0f} ms"
    parts = [f"step {state.place} of {last}{best}", f"total {iterate.total:.3g}", took]
    if overlap is not None:
        parts.append(f"overlap {overlap:.0%}")
    return ", ".join(parts)


def verdict_words(state: WatchState) -> str:
    """The text about the refinement as a whole."""
    if state.trace is None:
        return ""
    if state.busy:
        return REFINING
    best, start = state.trace.iterates[state.trace.best], state.trace.iterates[0]
    if state.trace.diverged:
        return f"It diverged and was stopped; the best, step {state.trace.best}, is kept."
    if state.trace.best == 0:
        return "No step was better than the start, which is kept."
    return f"Best: step {state.trace.best}, {100 * best.total / max(start.total, 1e-12):.0f} % of the start's total."
