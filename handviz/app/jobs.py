"""Longer works beside the live view: recording, exporting, analysing ahead. No Qt."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

from handviz.app.state import JobState, RecordingState
from handviz.app.views import Drawing, SessionLike
from handviz.capture.base import SourceSpec
from handviz.errors import HandvizError, OutputError
from handviz.export.video import VIDEO_SUFFIXES, VideoRecorder, plain_picture
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.offline import Sink, analyse
from handviz.pipeline.sinks import AnnotatedVideo, PoseFile
from handviz.records import FrameResult


class ExportJob:
    """Analyses a recording from its first frame to its last into a file, in a thread of its own."""

    def __init__(self, source: SourceSpec, config: SessionConfig, path: Path, total: int | None) -> None:
        self._sink: Sink = AnnotatedVideo(path) if path.suffix.lower() in VIDEO_SUFFIXES else PoseFile(path)
        self._source, self._config, self._path, self._total = source, config, path, total
        self._done = 0
        self._problem: str | None = None
        self._cancel = threading.Event()
        self._thread = threading.Thread(target=self._run, name="handviz-export", daemon=True)
        self._thread.start()

    def state(self) -> JobState:
        """How far it is."""
        return JobState(
            words=f"Writing {self._path.name}",
            done=self._done,
            total=self._total,
            running=self._thread.is_alive(),
            problem=self._problem,
        )

    def cancel(self, wait_s: float = 2.0) -> None:
        """Stop after the present frame; the file holds what was done so far."""
        self._cancel.set()
        self._thread.join(wait_s)

    def _run(self) -> None:
        try:
            try:
                self._write_all()
            finally:
                self._sink.close()
        except HandvizError as error:
            self._problem = str(error)

    def _write_all(self) -> None:
        results = analyse(self._source, self._config)
        try:
            for result in results:
                self._sink.write(result)
                self._done += 1
                if self._cancel.is_set():
                    return
        finally:
            results.close()


class AheadJob:
    """Analysing ahead, which the session itself does, in the same shape as an export."""

    def __init__(self, session: SessionLike) -> None:
        self._session = session
        session.analyse_all()

    def state(self) -> JobState:
        """How far it is."""
        progress = self._session.analysis()
        if progress is None:
            return JobState(words="Analysing all frames")
        return JobState(
            words="Analysing all frames",
            done=progress.done,
            total=progress.total,
            running=progress.running,
            problem=progress.problem,
        )

    def cancel(self) -> None:
        """Stop; what was analysed stays."""
        self._session.cancel_analysis()


class Jobs:
    """At most one recording and one job with progress."""

    def __init__(self) -> None:
        self._recorder: VideoRecorder | None = None
        self._overlay = False
        self._job: ExportJob | AheadJob | None = None

    def record(self, path: Path, *, overlay: bool) -> None:
        """Begin to record, with the overlay or without. Raises OutputError for a name or folder that can not be written."""
        self.stop_recording()
        self._recorder, self._overlay = VideoRecorder(path), overlay

    def take(self, result: FrameResult, draw: Drawing) -> None:
        """Give a result and how it is shown to the recording, if there is one. Raises the OutputError that ended it."""
        if self._recorder is None:
            return
        if self._recorder.error is not None:
            self.stop_recording()
        else:
            self._recorder.write(result, draw if self._overlay else plain_picture)

    def stop_recording(self) -> None:
        """Finish the files. Raises the OutputError that ended the recording, if one did."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.close()

    def export(self, source: SourceSpec, config: SessionConfig, path: Path, total: int | None) -> None:
        """Begin to export. Raises OutputError for a file that can not be begun."""
        self.cancel()
        self._job = ExportJob(source, config, path, total)

    def analyse(self, session: SessionLike) -> None:
        """Begin to analyse ahead."""
        self.cancel()
        self._job = AheadJob(session)

    def cancel(self) -> None:
        """End the job with progress."""
        job, self._job = self._job, None
        if job is not None:
            job.cancel()

    def finish(self) -> str | None:
        """Forget a job that is over; returns its problem."""
        if self._job is None or self._job.state().running:
            return None
        problem = self._job.state().problem
        self._job = None
        return problem

    def close(self) -> None:
        """Stop everything, with files finished."""
        self.cancel()
        with suppress(OutputError):
            self.stop_recording()

    @property
    def job(self) -> JobState | None:
        """The job with progress."""
        return None if self._job is None else self._job.state()

    @property
    def recording(self) -> RecordingState | None:
        """The recording."""
        recorder = self._recorder
        if recorder is None:
            return None
        return RecordingState(name=recorder.path.name, seconds=int(recorder.length_s), dropped=recorder.dropped)
