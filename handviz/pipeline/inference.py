"""The inference thread of a session: takes frames, follows the user's choices, and leaves results for the display. No Qt.

While the source plays, a frame is shown as soon as there is a quick answer, and the rest of a refinement is left to another
thread (``handviz.pipeline.finisher``). The refinement of later frames may start from its result, which is shown only for the
frame that the source is paused at. A frame after a seek, or one analysed again while paused, is completed before it is shown.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

from handviz.errors import HandvizError, SourceError
from handviz.memory import give_back
from handviz.pipeline.config import MODEL_CHOICES, SessionConfig
from handviz.pipeline.estimators import RunningModel
from handviz.pipeline.finisher import Finisher
from handviz.pipeline.loader import Loader, in_thread
from handviz.pipeline.player import Captured, Player
from handviz.pipeline.result_cache import ResultCache
from handviz.pipeline.slots import LatestSlot, PatientSlot
from handviz.pipeline.stats import StatsRecorder
from handviz.pipeline.step import HandPipeline
from handviz.records import Frame, FrameResult, HandEstimate

# How long a change of settings, or a finished result, may wait while no frame comes.
IDLE_S = 0.05
# Otherwise sources that are opened and closed in quick succession would load their networks all at once.
_building = threading.Lock()
# What a display will need of a result, such as a picture of its mesh, made here so that the display does not wait for it.
Preparation = Callable[[FrameResult], None]


class Inference:
    """Analyses the frames of one source. ``run`` is the thread's body; everything else may be called from other threads.

    ``stills``: the source has independent pictures. ``problem`` is one sentence for the user; ``prepare`` is
    called with each result before it is handed over.
    """

    def __init__(self, frames: LatestSlot[Captured], config: SessionConfig, *, stills: bool) -> None:
        self._frames, self._stills = frames, stills
        self.results: LatestSlot[FrameResult] = PatientSlot()
        self.stats = StatsRecorder()
        self.cache = ResultCache()
        self.ready = threading.Event()
        self.problem: str | None = None
        self.running: RunningModel | None = None
        self.prepare: Preparation | None = None
        self._stopping = threading.Event()
        self._wake = threading.Lock()
        self._config = config
        self._wanted: SessionConfig | None = None
        self._finisher = Finisher()
        self._loader = Loader()
        # The newest result, so that another of the same frame finds the same hands.
        self._last: FrameResult | None = None
        # Which run of frames was analysed last.
        self._run: int | None = None
        # The newest complete result of a frame that was answered quickly.
        self._whole: FrameResult | None = None

    @property
    def config(self) -> SessionConfig:
        """The configuration in use or about to be."""
        with self._wake:
            return self._wanted or self._config

    def update(self, config: SessionConfig) -> None:
        """Follow another configuration from the next frame on; while paused the frame shown is analysed again."""
        with self._wake:
            self._wanted = config

    def stop(self) -> None:
        """Let ``run`` return after the current frame."""
        self._stopping.set()

    def run(self, player: Player) -> None:
        """Analyse what the player captures until stopped."""
        pipeline: HandPipeline | None = None
        try:
            pipeline = self._first_pipeline(player)
            if pipeline is not None:
                self.running = pipeline.running
                self.ready.set()
                player.begin()
                self._analyse_until_stopped(pipeline, player)
        finally:
            if not self._stopping.is_set():
                self.problem = "the analysis stopped unexpectedly; start handviz from a terminal to see why"
            self._finisher.close()
            if pipeline is not None:
                pipeline.close()
            pipeline = None
            give_back()

    def _first_pipeline(self, player: Player) -> HandPipeline | None:
        """Build the pipeline; if the configuration fails, report it and wait for another. None if stopped before."""
        while not self._stopping.is_set():
            building = in_thread(partial(self._built, self._config, player))
            if not self._waited(building.done, player):
                building.add_done_callback(_close)
                return None
            try:
                pipeline = building.result()
            except HandvizError as error:
                self.problem = str(error)
            else:
                self.problem = None
                return pipeline
            self._waited(lambda: self._wanted is not None, player)
            with self._wake:
                self._config, self._wanted = self._wanted or self._config, None
        return None

    def _built(self, config: SessionConfig, player: Player) -> HandPipeline | None:
        with _building:
            # A user may go back to any frame of a recording, so none is skipped.
            return None if self._stopping.is_set() else HandPipeline(config, paced=True, idles=player.source.live)

    def _waited(self, done: Callable[[], bool], player: Player) -> bool:
        """Wait, and show a camera's pictures without results meanwhile; False if stopped before."""
        while not done():
            if self._stopping.is_set():
                return False
            captured = self._frames.take(timeout_s=IDLE_S) if player.source.live else None
            if captured is not None:
                self._hand_over(FrameResult(frame=captured.frame, hands=()))
            elif not player.source.live:
                self._stopping.wait(IDLE_S / 5)
        return True

    def _analyse_until_stopped(self, pipeline: HandPipeline, player: Player) -> None:
        last: Captured | None = None
        dropped = 0
        while not self._stopping.is_set():
            captured = self._frames.take(timeout_s=IDLE_S)
            changed = self._apply_config(pipeline)
            if captured is None and changed and last is not None:
                captured, self._run = last, None
            if captured is not None:
                last = captured = _as_told_now(captured, player)
                missed, dropped = self._frames.dropped - dropped, self._frames.dropped
                self._answer(pipeline, player, captured, missed)
            self._take_finished(pipeline, player, last)

    def _answer(self, pipeline: HandPipeline, player: Player, captured: Captured, missed: int) -> None:
        result = self._analyse(pipeline, player, captured, missed)
        self._last = result
        self.stats.analysed(result)
        self._hand_over(result)

    def _hand_over(self, result: FrameResult) -> None:
        prepare = self.prepare
        if prepare is not None:
            prepare(result)
        self.results.put(result)

    def _take_finished(self, pipeline: HandPipeline, player: Player, last: Captured | None) -> None:
        """Keep what was finished in parallel to the live view, and show it if playback is paused at its frame."""
        done = self._finisher.poll()
        if done is not None and done.config == pipeline.resolved:
            self._whole = done.result
            if not player.source.live:
                self.cache.put(done.result, done.config)
        if self._whole is not None and last is not None and not player.state.playing:
            if self._whole.frame is last.frame:
                self._hand_over(self._whole)
            self._whole = None

    def _analyse(self, pipeline: HandPipeline, player: Player, captured: Captured, missed: int) -> FrameResult:
        # While paused, a frame analysed before is shown at once. Heatmaps, other maps and comparisons were not kept.
        config = self._config
        if not player.state.playing and not (config.want_heatmaps or config.want_features or config.compare_with):
            known = self.cache.get(captured.frame, pipeline.resolved)
            if known is not None:
                pipeline.reset()
                return known
        used = pipeline.resolved
        if captured.run != self._run:
            pipeline.reset(self._seen_in(captured.frame))
            self._run = captured.run
        result, rest = self._fresh(pipeline, player, captured.frame, missed)
        if captured.choice is not player.source.camera or self.config.camera != config.camera:
            # It is shown but not kept: its camera, or its undistortion, is not the one of this configuration. A source gets a new
            # camera immediately, the analysis only when everything else that was chosen is loaded.
            return result
        if rest is not None:
            self._finisher.ask(rest, used)
        if not player.source.live:
            self.cache.put(result, used, whole=rest is None)
        return result

    def _seen_in(self, frame: Frame) -> tuple[HandEstimate, ...]:
        """The hands of the newest result, if it was of this frame."""
        return self._last.hands if self._last is not None and self._last.frame.index == frame.index else ()

    def _fresh(
        self, pipeline: HandPipeline, player: Player, frame: Frame, missed: int
    ) -> tuple[FrameResult, Callable[[], FrameResult] | None]:
        if self._stills:
            return pipeline.process_still(frame), None
        if player.state.playing:
            return pipeline.process_quickly(frame, dropped=missed)
        return pipeline.process(frame, dropped=missed), None

    def _apply_config(self, pipeline: HandPipeline) -> bool:
        with self._wake:
            if pipeline.outpaced and self._wanted is None:
                self._wanted = self._config
            wanted = self._wanted
        if wanted is None:
            return False
        missing = pipeline.unloaded(wanted)
        loaded = self._loader.loaded(missing)
        if loaded is None:
            # Until then the current configuration stays in use.
            return False
        try:
            pipeline.configure(wanted, loaded)
            self.problem = None
        except HandvizError as error:
            self.problem = str(error)
            return self._settle(wanted, self._without_its_models(pipeline, wanted))
        self.running = pipeline.running
        if missing:
            give_back()
        self._settle(wanted, wanted)
        return True

    def _without_its_models(self, pipeline: HandPipeline, refused: SessionConfig) -> SessionConfig:
        """Follow what else was chosen while the refused models loaded; return the configuration that is then in use."""
        rest = replace(refused, **{name: getattr(self._config, name) for name in MODEL_CHOICES})
        try:
            pipeline.configure(rest)
        except HandvizError:
            return self._config
        return rest

    def _settle(self, wanted: SessionConfig, in_force: SessionConfig) -> bool:
        """Return whether the configuration in use changed.

        A new one counts as wanted until it is loaded or refused, so that ``config`` does not flip back and forth.
        """
        with self._wake:
            changed, self._config = in_force != self._config, in_force
            if self._wanted is wanted:
                self._wanted = None
        return changed


def _as_told_now(captured: Captured, player: Player) -> Captured:
    """Return a frame with the current camera, if it was read with an earlier camera choice.

    If a recording's frame is undistorted, its picture changes: a paused one is read again, and arrives as a new frame.
    """
    source, before = player.source, captured.choice
    if before is source.camera:
        return captured
    if not source.live and (source.camera.straightens or before.straightens):
        player.read_again(captured.frame.index)
        return captured
    try:
        camera = source.camera.camera_of(captured.frame)
    except SourceError:
        # The source will report this with the next picture that it reads.
        return captured
    return replace(captured, frame=replace(captured.frame, camera=camera), choice=source.camera)


def _close(built: Future[HandPipeline | None]) -> None:
    pipeline = None if built.exception() is not None else built.result()
    if pipeline is not None:
        pipeline.close()
