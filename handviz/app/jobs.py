"""Longer works beside the live view: recording, exporting, analysing ahead. No Qt."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
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

# How long the end of the program waits for a job's last frame.
JOIN_S = 2.0
STOPPING = ": stopping…"


class ExportJob:
    """Analyses a recording from its first frame to its last into a file, in a thread of its own.

    ``source`` is what it reads. Raises OutputError where the file can not be begun, or is that recording itself.
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
        """How far it is."""
        running = self._thread.is_alive()
        return JobState(
            words=f"Writing {self.path.name}" + (STOPPING if running and self._cancel.is_set() else ""),
            done=self._done,
            total=self._total,
            running=running,
            problem=self._problem,
            ending=None if running else self._ending(),
        )

    def _ending(self) -> str:
        if not self._done:
            return f"Writing {self.path} ended before its first frame."
        written = self._sink.written  # not always the file that was asked for: a folder of meshes, a file a hand
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
        """Stop after the present frame; the file holds what was done so far."""
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
        except Exception as error:  # whatever it was: the file must not pass for a whole one
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
    """Return how many frames of how many are done, as far as that is known."""
    return f"{done}" if total is None else f"{done} of {total}"


class AheadJob:
    """Analysing ahead, which the session itself does, in the same shape as an export.

    It ends when a choice changes that its frames depend on: they would not be those that are shown.
    """

    def __init__(self, session: SessionLike) -> None:
        self._session = session
        self._choices = _choices(session)
        self._outdated = self._cancelled = False
        session.analyse_all()

    def state(self) -> JobState:
        """How far it is."""
        progress = self._session.analysis()
        if progress is None:
            return JobState(words="Analysing all frames")
        share = share_words(progress.done, progress.total)
        return JobState(
            words="Analysing all frames" + (STOPPING if progress.running and self._cancelled else ""),
            done=progress.done,
            total=progress.total,
            running=progress.running,
            problem=progress.problem,
            ending=f"Analysing ahead stopped after {share} frames because a setting changed. Press A to start again."
            if self._outdated
            else None,
        )

    def look(self) -> None:
        """End it where the choices are others than when it began."""
        if not self._outdated and _choices(self._session) != self._choices:
            self._outdated = True
            self.cancel()

    def cancel(self, wait_s: float = 0.0) -> None:
        """Stop after the present frame; what was analysed stays."""
        self._cancelled = True
        self._session.cancel_analysis(wait_s)


def _choices(session: SessionLike) -> SessionConfig:
    """Return the choices in force that decide about hands, with what ``auto`` means now."""
    running = session.running()
    return resolved(deciding(session.config), None if running is None else running.estimator)


class Jobs:
    """At most one recording and one job with progress.

    What comes of them is said as soon as they end: ``tell`` takes what was done, and what was stopped (None: nothing any
    more), ``report`` what went wrong.
    """

    def __init__(self, tell: Callable[[str | None], None], report: Callable[[str], None]) -> None:
        self._tell, self._report = tell, report
        self._recorder: VideoRecorder | None = None
        self._overlay = False
        self._job: ExportJob | AheadJob | None = None

    def record(self, path: Path, source: Path | None, *, overlay: bool) -> None:
        """Begin to record what is shown of a source (None: of a camera), with the overlay or without.

        Raises OutputError, and changes nothing, where a file can not be written or is read, by the view or by an export.
        """
        job = self._job if isinstance(self._job, ExportJob) else None
        if job is not None:
            _refuse_shared(recorded_files(path), (job.path,))
        recorder = VideoRecorder(path, (source, None if job is None else job.source.path))
        self.stop_recording()
        self._recorder, self._overlay = recorder, overlay
        self._tell(None)

    def take(self, result: FrameResult, draw: Drawing) -> None:
        """Give a result and how it is shown to the recording, if there is one."""
        if self._recorder is not None:
            self._recorder.write(result, draw if self._overlay else plain_picture)

    def stop_recording(self, why: str = "") -> None:
        """Finish the files, and say what was recorded; ``why`` is a sentence before it."""
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
        """Begin to export, where no job runs. Raises OutputError for a file that can not be begun, or is being recorded."""
        if self._recorder is not None:
            _refuse_shared((path,), recorded_files(self._recorder.path))
        self._job = ExportJob(source, config, path, total)
        self._tell(None)

    def analyse(self, session: SessionLike) -> None:
        """Begin to analyse ahead, where no job runs."""
        self._job = AheadJob(session)
        self._tell(None)

    def cancel(self) -> None:
        """Stop the job with progress."""
        if self._job is not None:
            self._job.cancel()
            self.look()

    def leave_source(self) -> None:
        """End what needs the source that is being closed. An export does not: it reads the recording by itself."""
        self.stop_recording("The source was closed.")
        if isinstance(self._job, AheadJob):
            self._job.cancel()
            self._job = None

    def look(self) -> None:
        """Say what ended since the last look."""
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
        """Stop everything, with files finished; returns what became of an export that was under way."""
        job, told = self._job, None
        if job is not None:
            job.cancel(JOIN_S)
            told = job.outcome if isinstance(job, ExportJob) else None
            self.look()
        self.stop_recording()
        return told

    @property
    def job(self) -> JobState | None:
        """The job with progress."""
        return None if self._job is None else self._job.state()

    @property
    def exporting(self) -> JobState | None:
        """The export that runs."""
        state = self.job
        return state if isinstance(self._job, ExportJob) and state is not None and state.running else None

    @property
    def recording(self) -> RecordingState | None:
        """The recording."""
        recorder = self._recorder
        if recorder is None:
            return None
        return RecordingState(name=recorder.path.name, seconds=int(recorder.length_s), dropped=recorder.dropped)


def _refuse_shared(paths: Sequence[Path], others: Iterable[Path]) -> None:
    """Raise OutputError where one of these files is one of the others, which are being written. None may be there yet."""
    if {path.resolve() for path in paths} & {other.resolve() for other in others}:
        raise OutputError(f"{paths[0]} would overwrite a file that is being written now. Choose another name.")


def _recorded_words(recorder: VideoRecorder) -> str:
    if not recorder.frames:
        return "Nothing was recorded, because nothing was played."
    minutes, seconds = divmod(round(recorder.length_s), 60)
    pictures = f"{recorder.frames} frames" + (f", {recorder.dropped} left out" if recorder.dropped else "")
    return f"{recorder.path} was recorded: {minutes}:{seconds:02d} ({pictures}), with the poses next to it."
