"""``handviz process``: every frame of a source, without a window."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import suppress

from handviz.capture.base import SourceSpec, parse_sources
from handviz.capture.open import open_source
from handviz.capture.pictures import left_out, pictures_of
from handviz.cli.options import session_config
from handviz.errors import HandvizError, OutputError
from handviz.estimate.registry import default_weights, gives_mesh, refines
from handviz.export.files import refuse_source
from handviz.interrupts import INTERRUPTED
from handviz.pipeline.config import AUTO
from handviz.pipeline.offline import Report, Sink
from handviz.pipeline.offline import run as run_pipeline
from handviz.pipeline.sinks import AnnotatedVideo, MeshFolder, PoseFile
from handviz.records import FrameResult

BAR_WIDTH = 30


def run(arguments: argparse.Namespace) -> int:
    """Analyse the source into the files that were asked for; returns 0 only when everything was read and written."""
    spec = parse_sources(arguments.source)
    if spec.kind == "camera":
        raise HandvizError(
            "`handviz process` takes a video, a picture or a folder. For a camera open the window: handviz 0; "
            "for a file or folder named 0 write ./0"
        )
    _refuse_inputs(arguments, spec)
    config = session_config(arguments)
    _refuse_no_mesh(arguments, config.estimator)
    _tell_idle_options(arguments, config.estimator)
    poses = PoseFile(arguments.out)
    sinks = [poses, *_further_sinks(arguments)]
    progress = None if arguments.quiet else Progress(_frame_count(spec))
    report = run_pipeline(spec, config, sinks, progress)
    if progress is not None:
        progress.finish()
    if report.frames:
        _tell_left_out(spec)
    return _tell(report, poses)


def _refuse_inputs(arguments: argparse.Namespace, spec: SourceSpec) -> None:
    """Raise OutputError if a result would overwrite something that is read."""
    assert spec.path is not None
    read = [spec.path] if spec.kind == "video" else pictures_of(spec)
    for out in (arguments.out, arguments.save_video):
        for source in (*read, arguments.intrinsics, arguments.weights):
            if out is not None:
                refuse_source(out, source)


def _refuse_no_mesh(arguments: argparse.Namespace, estimator: str) -> None:
    """Raise OutputError if meshes are asked for and the estimator gives none."""
    if arguments.meshes is not None and not gives_mesh(estimator):
        raise OutputError(
            f"{arguments.meshes}: '{estimator}' gives no meshes. Choose an estimator that does, or leave out --meshes"
        )


def _tell_idle_options(arguments: argparse.Namespace, estimator: str) -> None:
    """Name the options that have no effect with this estimator; under ``auto``, which may choose any, there are none."""
    idle = {
        "--device": arguments.device == "cuda" and default_weights(estimator) is None,
        "--hand-model": arguments.hand_model is not None and not gives_mesh(estimator),
        "--refine-iterations": arguments.refine_iterations is not None and not refines(estimator),
    }
    for option in (name for name, unused in idle.items() if unused and estimator != AUTO):
        print(f"handviz: {option} has no effect with '{estimator}'", file=sys.stderr)


def _frame_count(spec: SourceSpec) -> int | None:
    source = open_source(spec)
    try:
        return source.frame_count
    finally:
        source.release()


def _further_sinks(arguments: argparse.Namespace) -> list[Sink]:
    sinks: list[Sink] = []
    if arguments.save_video is not None:
        sinks.append(AnnotatedVideo(arguments.save_video))
    if arguments.meshes is not None:
        sinks.append(MeshFolder(arguments.meshes))
    return sinks


def _tell_left_out(spec: SourceSpec) -> None:
    """Say what else a folder holds; all that was asked for was read, so the exit status does not change."""
    note = left_out(spec.path) if spec.kind == "folder" and spec.path is not None and not spec.pictures else None
    if note is not None:
        print(f"handviz: {note}", file=sys.stderr)


def _tell(report: Report, poses: PoseFile) -> int:
    for warning in report.warnings:
        print(f"handviz: {warning}", file=sys.stderr)
    if report.problem:
        print(f"handviz: {report.problem}", file=sys.stderr)
    if report.problem and not report.frames:
        # Nothing was done, so only the reason is printed.
        return 1
    ending = "stopped" if report.interrupted else "done"
    where = f"written to {' and '.join(map(str, poses.written))}" if poses.written else "nothing written"
    print(f"{ending}: {report.frames} frames, hands in {report.frames_with_hands}, {where}", file=sys.stderr)
    if report.interrupted:
        return INTERRUPTED
    return 0 if report.clean else 1


class Progress:
    """A bar on standard error, or a line every few seconds if that is not a terminal."""

    def __init__(self, total: int | None) -> None:
        self._total = total
        self._done = 0
        self._start = self._last = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._period = 0.1 if self._terminal else 10.0

    def __call__(self, result: FrameResult) -> None:
        """Count a frame, and draw when it is time."""
        self._done += 1
        now = time.monotonic()
        if now - self._last >= self._period:
            self._last = now
            self._draw(now)

    def finish(self) -> None:
        """Draw the final state."""
        if self._terminal and self._done:
            self._draw(time.monotonic())
            print(file=sys.stderr)

    def _draw(self, now: float) -> None:
        rate = self._done / max(now - self._start, 1e-6)
        share = min(self._done / self._total, 1.0) if self._total else 0.0
        filled = int(share * BAR_WIDTH)
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        text = f"[{bar}] {self._done}/{self._total or '?'} frames, {rate:.1f}/s"
        with suppress(OSError):  # nobody reads it any more; the results are what counts
            print(f"\r{text}" if self._terminal else text, end="" if self._terminal else "\n", file=sys.stderr, flush=True)
