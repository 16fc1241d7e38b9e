"""Refinement of a paused frame that the user can watch: every iterate, computed in a separate thread. No Qt.

The newest request wins: an answer to an older one is never returned, and the slow solver stops as soon as nobody waits for it.
"""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, cast

from handviz.crop import CropSpec
from handviz.errors import HandvizError
from handviz.estimate.base import EstimatorOptions
from handviz.estimate.registry import create_estimator
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.hands import crop_for
from handviz.pipeline.slots import LatestSlot
from handviz.records import CropResult, Frame, HandCrop, HandEstimate

if TYPE_CHECKING:
    # Compiled loops and torch: loaded only if a refinement is watched.
    from handviz.fit.refinement import RefinementTrace, Solver

ESTIMATOR = "dense"


class Refining(Protocol):
    """The part of ``handviz.estimate.dense.DenseEstimator`` that is used here; see there for each method."""

    crop_spec: CropSpec

    def adjust(self, options: EstimatorOptions) -> bool:
        """Take over other options."""
        ...

    def refine(self, crop: HandCrop, *, iterations: int, solver: Solver, wanted: Callable[[], bool]) -> RefinementTrace:
        """Refine one crop and keep every iterate."""
        ...

    def steps(self, crop: HandCrop, trace: RefinementTrace) -> list[CropResult]:
        """Each iterate as an answer."""
        ...


Builder = Callable[[EstimatorOptions], Refining]


def _build(options: EstimatorOptions) -> Refining:
    return cast(Refining, create_estimator(ESTIMATOR, options))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RefineRequest:
    """One hand of one frame, to be refined from the network's own answer by a number of solver steps."""

    frame: Frame
    hand: HandEstimate
    config: SessionConfig
    solver: Solver
    iterations: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Refined:
    """The trace and the hand at each of its iterates, or one sentence about why there is none."""

    request: RefineRequest
    trace: RefinementTrace | None = None
    hands: tuple[HandEstimate, ...] = ()
    problem: str | None = None


class Refiner:
    """Answers the newest request. The thread and its network start with the first one."""

    def __init__(self, build: Builder = _build) -> None:
        self._build = build
        self._requests: LatestSlot[RefineRequest] = LatestSlot()
        self._answers: queue.SimpleQueue[Refined] = queue.SimpleQueue()
        self._newest: RefineRequest | None = None
        self._thread: threading.Thread | None = None
        self._estimator: Refining | None = None

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""
        return self._newest is not None

    def ask(self, request: RefineRequest) -> None:
        """Ask for a refinement in place of any other."""
        self._newest = request
        self._requests.put(request)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="handviz-refine", daemon=True)
            self._thread.start()

    def cancel(self) -> None:
        """Drop whatever is still to come."""
        self._newest = None

    def poll(self) -> Refined | None:
        """Return the answer to the newest request once it is there."""
        while not self._answers.empty():
            answer = self._answers.get()
            if answer.request is self._newest:
                self._newest = None
                return answer
        return None

    def close(self, wait_s: float = 0.5) -> None:
        """Stop after the current step."""
        self.cancel()
        self._requests.close()
        if self._thread is not None:
            self._thread.join(wait_s)

    def _run(self) -> None:
        while (request := self._requests.take()) is not None:
            if request is not self._newest:
                continue
            try:
                self._answers.put(self._refined(request))
            except HandvizError as error:
                self._answers.put(Refined(request=request, problem=str(error)))
            except Exception as error:  # The window waits for an answer, whatever goes wrong.
                traceback.print_exc()
                self._answers.put(Refined(request=request, problem=f"The refinement failed: {error}"))

    def _refined(self, request: RefineRequest) -> Refined:
        estimator = self._for(request.config.options(ESTIMATOR))
        crop = crop_for(request.frame, request.hand, estimator.crop_spec)
        trace = estimator.refine(
            crop, iterations=request.iterations, solver=request.solver, wanted=lambda: self._newest is request
        )
        answers = estimator.steps(crop, trace)
        return Refined(request=request, trace=trace, hands=tuple(_at_step(request.hand, crop, answer) for answer in answers))

    def _for(self, options: EstimatorOptions) -> Refining:
        if self._estimator is None or not self._estimator.adjust(options):
            self._estimator = self._build(options)
        return self._estimator


def _at_step(hand: HandEstimate, crop: HandCrop, answer: CropResult) -> HandEstimate:
    return replace(hand, crop=crop, joints=answer.joints, mesh=answer.mesh, stage="refined")
