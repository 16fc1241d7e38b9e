"""Longer jobs alongside the live view: recording, exporting, analysing ahead. No Qt."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from handviz.app.state import JobState, RecordingState
from handviz.app.views import Drawing, SessionLike
from handviz.capture.base import SourceSpec
from handviz.errors import HandvizError, OutputError
from handviz.export.files import refuse_source
from handviz.export.video import VIDEO_SUFFIXES, VideoRecorder, plain_picture, recorded_files
from handviz.pipeline.auto import beside_the_view, resolved
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.offline import analyse
from handviz.pipeline.result_cache import deciding
from handviz.pipeline.sinks import AnnotatedVideo, PoseFile
from handviz.records import FrameResult

# How long quitting waits for a job's last frame.
JOIN_S = 2.0


class ExportJob:
    """Analyses a recording from first frame to last and writes it to a file, in its own thread.

    ``source`` is what it reads. Raises OutputError if the file cannot be begun or is the recording itself.
    """

    def __init__(self, source: SourceSpec, config: SessionConfig, path: Path, total: int | None) -> None:
        refuse_source(path, source.path)
        self._sink: AnnotatedVideo | PoseFile = AnnotatedVideo(path) if path.suffix.lower() in VIDEO_SUFFIXES else PoseFile(path)
        self.source, self.path = source, path
        self._config, self._total = config, total
        self._done = 0
        self._problem: str | None = None
        self._complete = False
        self._cancel = threading.Event()
        self._thread = threading.Thread(target=self._run, name="handviz-export", daemon=True)
        self._thread.start()

    def state(self) -> JobState:
        """The job's progress."""
        running = self._thread.is_alive()
        return JobState(
            words=f"Writing {self.path.name}",
            done=self._done,
            total=self._total,
            running=running,
            stopping=running and self._cancel.is_set(),
            problem=self._problem,
            ending=None if running else self._ending(),
        )

    def _ending(self) -> str:
        if not self._done:
            return f"Writing {self.path} ended before its first frame."
        written = self._sink.written  # not always the file asked for: a folder of meshes, one file per hand
        names, one = " and ".join(map(str, written)), len(written) == 1
        if self._complete:
            return f"{names} {'was' if one else 'were'} written: {self._done} frames."
        done = share_words(self._done, self._total)
        return f"Writing was stopped: {names} {'holds' if one else 'hold'} the first {done} frames."

    @property
    def outcome(self) -> str:
        """What became of it, in one sentence."""
        state = self.state()
        return state.problem or state.ending or f"Writing {self.path} is being stopped."

    def cancel(self, wait_s: float = 0.0) -> None:
        """Stop after the current frame; the file keeps what was written so far."""
        self._cancel.set()
        self._thread.join(wait_s)

    def _run(self) -> None:
        try:
            try:
                with beside_the_view():
                    self._write_all()
            finally:
                self._sink.close()
        except HandvizError as error:
            self._fail(str(error))
        except Exception as error:  # whatever it was: the file must not pass for a complete one
            self._fail(repr(error))

    def _fail(self, reason: str) -> None:
        self._problem = f"Writing {self.path} ended after {share_words(self._done, self._total)} frames: {reason}"

    def _write_all(self) -> None:
        results = analyse(self.source, self._config)
        try:
            for result in results:
                self._sink.write(result)
                self._done += 1
                if self._cancel.is_set():
                    return
            self._complete = True
        finally:
            results.close()


def share_words(done: int, total: int | None) -> str:
    """Return how many frames are done, and of how many if that is known."""
    return f"{done}" if total is None else f"{done} of {total}"


class AheadJob:
    """Analysing ahead, done by the session itself, with the same interface as an export.

    It ends when a setting changes that its results depend on: they would no longer be those that are shown.
    """

    def __init__(self, session: SessionLike) -> None:
        self._session = session
        self._choices = _choices(session)
        self._outdated = self._cancelled = False
        session.analyse_all()

    def state(self) -> JobState:
        """The job's progress."""
        progress = self._session.analysis()
        if progress is None:
            return JobState(words="Analysing all frames")
        share = share_words(progress.done, progress.total)
        return JobState(
            words="Analysing all frames",
            done=progress.done,
            total=progress.total,
            running=progress.running,
            stopping=progress.running and self._cancelled,
            problem=progress.problem,
            ending=f"Analysing ahead stopped after {share} frames because a setting changed. Press A to start again."
            if self._outdated
            else None,
        )

    def look(self) -> None:
        """End it if the settings have changed since it began."""
        if not self._outdated and _choices(self._session) != self._choices:
            self._outdated = True
            self.cancel()

    def cancel(self, wait_s: float = 0.0) -> None:
        """Stop after the current frame; what was analysed is kept."""
        self._cancelled = True
        self._session.cancel_analysis(wait_s)


def _choices(session: SessionLike) -> SessionConfig:
    """Return the settings in force that affect the hands, with ``auto`` replaced by what it means now."""
    running = session.running()
    return resolved(deciding(session.config), None if running is None else running.estimator)


class Jobs:
    """At most one recording and one job with progress.

    Their outcome is announced as soon as they end: ``tell`` takes what was done or stopped (None clears it), ``report`` what
    went wrong.
    """

    def __init__(self, tell: Callable[[str | None], None], report: Callable[[str], None]) -> None:
        self._tell, self._report = tell, report
        self._recorder: VideoRecorder | None = None
        self._overlay = False
        self._job: ExportJob | AheadJob | None = None

    def record(self, path: Path, source: Path | None, *, overlay: bool) -> None:
        """Start recording what is shown of a source file (None: a camera), with or without the overlay.

        Raises OutputError, and changes nothing, if a file cannot be written or is being read by the view or an export.
        """
        job = self._job if isinstance(self._job, ExportJob) else None
        if job is not None:
            _refuse_shared(recorded_files(path), (job.path,))
        recorder = VideoRecorder(path, (source, None if job is None else job.source.path))
        self.stop_recording()
        self._recorder, self._overlay = recorder, overlay
        self._tell(None)

    def take(self, result: FrameResult, draw: Drawing) -> None:
        """Pass a result and the function that draws it to the recording, if there is one."""
        if self._recorder is not None:
            self._recorder.write(result, draw if self._overlay else plain_picture)

    def stop_recording(self, why: str = "") -> None:
        """Finish the files and announce what was recorded; ``why`` is a sentence put before that."""
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        try:
            recorder.close()
        except OutputError as error:
            self._report(str(error))
        else:
            self._tell(f"{why} {_recorded_words(recorder)}".lstrip())

    def export(self, source: SourceSpec, config: SessionConfig, path: Path, total: int | None) -> None:
        """Start an export while no job runs. Raises OutputError for a file that cannot be begun or is being recorded."""
        if self._recorder is not None:
            _refuse_shared((path,), recorded_files(self._recorder.path))
        self._job = ExportJob(source, config, path, total)
        self._tell(None)

    def analyse(self, session: SessionLike) -> None:
        """Start analysing ahead while no job runs."""
        self._job = AheadJob(session)
        self._tell(None)

    def cancel(self) -> None:
        """Stop the job with progress."""
        if self._job is not None:
            self._job.cancel()
            self.look()

    def leave_source(self) -> None:
        """End what needs the source that is being closed. An export does not: it reads the recording itself."""
        self.stop_recording("The source was closed.")
        if isinstance(self._job, AheadJob):
            self._job.cancel()
            self._job = None

    def look(self) -> None:
        """Announce what has ended since the last call."""
        if self._recorder is not None and self._recorder.error is not None:
            self.stop_recording()
        if isinstance(self._job, AheadJob):
            self._job.look()
        state = self.job
        if state is None or state.running:
            return
        self._job = None
        if state.problem is not None:
            self._report(state.problem)
        elif state.ending is not None:
            self._tell(state.ending)

    def close(self) -> str | None:
        """Stop everything, with all files finished; return what became of a running export."""
        job, told = self._job, None
        if job is not None:
            job.cancel(JOIN_S)
            told = job.outcome if isinstance(job, ExportJob) else None
            self.look()
        self.stop_recording()
        return told

    @property
    def job(self) -> JobState | None:
        """The job with progress, if any."""
        return None if self._job is None else self._job.state()

    @property
    def exporting(self) -> JobState | None:
        """The running export, if any."""
        state = self.job
        return state if isinstance(self._job, ExportJob) and state is not None and state.running else None

    @property
    def recording(self) -> RecordingState | None:
        """The running recording, if any."""
        recorder = self._recorder
        if recorder is None:
            return None
        return RecordingState(name=recorder.path.name, seconds=int(recorder.length_s), dropped=recorder.dropped)


def _refuse_shared(paths: Iterable[Path], others: Iterable[Path]) -> None:
    """Raise OutputError for a file that is among the others, which are being written. Neither need exist yet."""
    written = {other.resolve() for other in others}
    for path in paths:
        if path.resolve() in written:
            raise OutputError(f"{path} is being written now. Choose another name.")


def _recorded_words(recorder: VideoRecorder) -> str:
    if not recorder.frames:
        return "Nothing was recorded, because nothing was played."
    minutes, seconds = divmod(round(recorder.length_s), 60)
    pictures = f"{recorder.frames} frames" + (f", {recorder.dropped} left out" if recorder.dropped else "")
    return f"{recorder.path} was recorded: {minutes}:{seconds:02d} ({pictures}), with the poses next to it."
