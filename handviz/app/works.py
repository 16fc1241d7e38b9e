"""The user's intents about longer jobs: record, export, analyse ahead. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from handviz.app.jobs import Jobs
from handviz.app.playback import LIVE_WORDS
from handviz.app.state import JobState, Wish
from handviz.app.views import SessionLike
from handviz.capture.base import SourceSpec
from handviz.errors import HandvizError
from handviz.pipeline.result_cache import deciding


class Works:
    """Passes intents to the jobs; ``report`` shows what went wrong, ``changed`` is called when something has changed."""

    def __init__(
        self,
        jobs: Jobs,
        session: Callable[[], SessionLike | None],
        wish: Callable[[], Wish],
        report: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self._jobs = jobs
        self._session, self._wish = session, wish
        self._report, self._changed = report, changed

    def record(self, path: Path, *, overlay: bool) -> None:
        """Record what is shown from now on."""
        source = self.recordable()
        if source is not None:
            self._try(lambda: self._jobs.record(path, source.path, overlay=overlay))

    def recordable(self) -> SourceSpec | None:
        """Return the source that can be recorded; report it if there is none."""
        source = self._wish().source
        if self._session() is None or source is None:
            self._report("There is nothing to record yet. Open a source first.")
            return None
        return source

    def stop_recording(self) -> None:
        """Finish the recording."""
        self._jobs.stop_recording()

    @property
    def recording(self) -> bool:
        """Whether a recording runs."""
        return self._jobs.recording is not None

    @property
    def exporting(self) -> JobState | None:
        """The running export, if any."""
        return self._jobs.exporting

    def export(self, path: Path) -> None:
        """Analyse the whole recording into a file; its suffix says the format."""
        found = self.exportable()
        if found is not None:
            source, count = found
            self._try(lambda: self._jobs.export(source, deciding(self._wish().config), path, count))

    def exportable(self) -> tuple[SourceSpec, int | None] | None:
        """Return what can be exported and its number of frames; report it if there is nothing, or another job runs."""
        session, source = self._session(), self._wish().source
        if session is None or source is None or session.state().live:
            self._report("Only a video, a picture or a folder can be exported. Record the camera first, then open the recording.")
            return None
        return None if self._is_busy() else (source, session.state().frame_count)

    def analyse_all(self) -> None:
        """Analyse the whole recording ahead, so that seeking is instant."""
        session = self._session()
        if session is None:
            return
        if session.state().live:
            self._report(LIVE_WORDS)
        elif not self._is_busy():
            self._jobs.analyse(session)
            self._changed()

    def cancel(self) -> None:
        """End the export or the analysis."""
        self._jobs.cancel()
        self._changed()

    def _is_busy(self) -> bool:
        """Report it if a job runs: a second one must not end it."""
        job = self._jobs.job
        if job is None:
            return False
        if job.stopping:
            self._report(f"{job.words} is being stopped. Wait until that is done.")
        else:
            self._report(f"{job.words} is under way. Wait until it is done, or stop it with the cross next to its progress.")
        return True

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except HandvizError as error:
            self._report(str(error))
        else:
            self._changed()
