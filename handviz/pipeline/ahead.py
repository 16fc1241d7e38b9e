"""Analysing a whole recording ahead of the display, with progress and cancel."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from handviz.capture.base import SourceSpec
from handviz.errors import HandvizError
from handviz.pipeline.auto import beside_the_view
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.offline import analyse
from handviz.pipeline.result_cache import ResultCache


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Frames done of ``total`` (None if the recording does not say); ``problem`` is why it ended early."""

    done: int = 0
    total: int | None = None
    running: bool = False
    problem: str | None = None


class AnalyseAhead:
    """Runs every frame of a recording through a separate pipeline, into the cache."""

    def __init__(self, source: SourceSpec, config: SessionConfig, cache: ResultCache, total: int | None) -> None:
        self._source, self._config, self._cache = source, config, cache
        self._progress = Progress(total=total, running=True)
        self._cancel = threading.Event()
        self._thread = threading.Thread(target=self._run, name="handviz-analyse-ahead", daemon=True)
        self._thread.start()

    @property
    def progress(self) -> Progress:
        """How far it has come."""
        return self._progress

    def cancel(self, wait_s: float = 0.0) -> None:
        """Stop after the current frame; what was analysed stays."""
        self._cancel.set()
        self._thread.join(wait_s)

    def _run(self) -> None:
        with beside_the_view():
            self._analyse()

    def _analyse(self) -> None:
        problem: str | None = None
        # As in the view, which judges each picture independently.
        results = analyse(self._source, self._config, collection=False)
        done = 0
        try:
            for result in results:
                self._cache.put_ahead(result, self._config)
                done += 1
                self._progress = Progress(done=done, total=self._progress.total, running=True)
                if self._cancel.is_set():
                    break
        except HandvizError as error:
            problem = str(error)
        except Exception as error:  # whatever it is: the rest must not count as analysed
            problem = repr(error)
        finally:
            results.close()
            self._progress = Progress(done=done, total=self._progress.total, problem=problem)
