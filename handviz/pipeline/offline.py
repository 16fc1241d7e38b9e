"""Every frame of a source through the pipeline, none dropped, with the results going into sinks."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from handviz.capture.base import SourceSpec, camera_choice
from handviz.capture.open import open_source
from handviz.errors import HandvizError
from handviz.interrupts import Interrupts
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.step import HandPipeline
from handviz.records import FrameResult


class Sink(Protocol):
    """Takes results one by one, and is closed at the end, whatever happens."""

    def write(self, result: FrameResult) -> None:
        """Take a result. Raises OutputError if it cannot be stored."""
        ...

    def close(self) -> None:
        """Finish, so that what was written is readable."""
        ...


@dataclass(slots=True, kw_only=True)
class Report:
    """The outcome of a run. ``problem`` is one sentence about why it ended early; ``warnings`` did not end it."""

    frames: int = 0
    frames_with_hands: int = 0
    problem: str | None = None
    interrupted: bool = False
    warnings: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether everything was read and written."""
        return self.problem is None and not self.interrupted and not self.warnings


def analyse(
    spec: SourceSpec, config: SessionConfig, report: Report | None = None, *, collection: bool = True
) -> Generator[FrameResult, None, None]:
    """Yield the result of each frame of a source in order.

    Pictures are independent of one another with one exception: if a picture does not show which side a hand is, the pictures
    before it say which side is likely (``SideHabit``), unless they are no ``collection``. Raises HandvizError if the source
    ends with an error; the results yielded before it remain valid.
    """
    source = open_source(spec, camera_choice(*config.camera))
    try:
        pipeline = HandPipeline(config, collection=collection)
        step = pipeline.process if spec.kind in ("video", "camera") else pipeline.process_still
        try:
            while (frame := source.read()) is not None:
                yield step(frame)
        finally:
            pipeline.close()
    finally:
        if report is not None:
            report.warnings.extend(source.warnings)
        source.release()


def run(
    spec: SourceSpec, config: SessionConfig, sinks: Sequence[Sink], progress: Callable[[FrameResult], None] | None = None
) -> Report:
    """Analyse a source into sinks. Problems and Ctrl-C end it early, with everything so far kept and readable."""
    report = Report()
    results = analyse(spec, config, report)
    with Interrupts() as interrupts:
        try:
            for result in results:
                with interrupts.held_back():  # half a fragment of a video would cost all of it
                    for sink in sinks:
                        sink.write(result)
                    _count(report, result)
                if progress is not None:
                    progress(result)
        except HandvizError as error:
            report.problem = str(error)
        except KeyboardInterrupt:
            report.interrupted = True
        except SystemError:
            # This is how compiled code reports that it was interrupted.
            if not interrupts.told:
                raise
            report.interrupted = True
        finally:
            interrupts.hold()
            results.close()
            _close_all(sinks, report)
    return report


def _count(report: Report, result: FrameResult) -> None:
    report.frames += 1
    report.frames_with_hands += bool(result.hands)


def _close_all(sinks: Sequence[Sink], report: Report) -> None:
    for sink in sinks:
        try:
            sink.close()
        except HandvizError as error:
            report.problem = report.problem or str(error)
