"""A live session: capture, inference and display each at their own pace; the newest frame wins. No Qt."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from handviz.capture.base import SourceSpec, camera_choice
from handviz.capture.open import open_source
from handviz.capture.webcam import WebcamSource
from handviz.geometry.camera import FloatArray
from handviz.pipeline.ahead import AnalyseAhead, Progress
from handviz.pipeline.auto import resolved
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.estimators import RunningModel
from handviz.pipeline.inference import Inference, Preparation
from handviz.pipeline.player import MAX_SPEED, MIN_SPEED, Captured, Player
from handviz.pipeline.result_cache import deciding
from handviz.pipeline.slots import PatientSlot
from handviz.pipeline.stats import SessionStats
from handviz.records import Frame, FrameResult

STOP_S = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """What the window shows about the source. Rates are in frames per second; ``error`` is one sentence for the user.

    ``warning`` is the last one about something that was skipped or refused while reading goes on. ``waiting`` is the frame
    of a recording that was read, until the first result is there.
    """

    source_name: str
    live: bool
    playing: bool
    ended: bool
    position: int
    frame_count: int | None
    fps_nominal: float
    fps_measured: float | None
    speed: float
    loop: bool
    range_in: int | None
    range_out: int | None
    ready: bool
    error: str | None
    warning: str | None = None
    waiting: Frame | None = None


class Session:
    """Runs one source through the pipeline in two threads. Every method may be called from the display's thread."""

    def __init__(self, source: SourceSpec, config: SessionConfig, *, playing: bool = True) -> None:
        self._spec = source
        self._playing = playing
        self._frames: PatientSlot[Captured] = PatientSlot()
        self._inference = Inference(self._frames, config, stills=source.stills)
        self._ahead: AnalyseAhead | None = None
        self._answered = False
        self._player: Player | None = None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Open the source and begin. Raises SourceError if it cannot be opened."""
        source = open_source(self._spec, camera_choice(*self.config.camera))
        # A recording waits for the networks to load, so that its first frames are not lost; a camera does not wait.
        self._player = Player(source, self._frames, playing=self._playing, waits=not source.live)
        self._threads = [
            threading.Thread(target=self._player.run, name="handviz-capture", daemon=True),
            threading.Thread(target=self._inference.run, args=(self._player,), name="handviz-inference", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop within a second, even if a camera's driver blocks; safe to call twice."""
        self._inference.stop()
        self.cancel_analysis(STOP_S / 2)
        if self._player is not None:
            self._player.stop()
        self._frames.close()
        deadline = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def latest(self) -> FrameResult | None:
        """Return the newest result that was not taken yet, or None."""
        result = self._inference.results.poll()
        self._answered |= result is not None
        if result is not None and self.state().playing:
            self._inference.stats.shown(result)
        return result

    def update(self, config: SessionConfig) -> None:
        """Change the configuration from the next frame on; while paused the frame shown is analysed again.

        Raises HandvizError, and changes nothing, for an intrinsics file that is invalid or for another aspect ratio.
        """
        before, player = self.config, self._the_player
        if config.camera != before.camera:
            choice = camera_choice(*config.camera)
            if player.frame is not None:
                choice.camera_of(player.frame)
            player.source.camera = choice
            # Even if this configuration was used before: the intrinsics file may have changed since.
            self._inference.cache.clear()
            if self._spec.stills:
                # Each picture that still cannot be read will be reported again.
                player.source.warnings.clear()
            player.told_anew()
        self._inference.update(config)

    def prepare_with(self, prepare: Preparation) -> None:
        """Let the analysis thread call this with each result before ``latest`` returns it."""
        self._inference.prepare = prepare

    def pause(self) -> None:
        """Hold the current frame (a camera freezes)."""
        self._the_player.command(playing=False)

    def resume(self) -> None:
        """Go on, or start again if the end was reached."""
        self._the_player.command(playing=True)

    def seek(self, index: int) -> None:
        """Show the frame ``index``."""
        self._the_player.seek(index)

    def step(self, delta: int) -> None:
        """Pause and move by ``delta`` frames."""
        self._the_player.step(delta)

    def set_speed(self, factor: float) -> None:
        """Play at ``factor`` times the recording's speed, 0.1 to 4."""
        self._the_player.command(speed=min(max(factor, MIN_SPEED), MAX_SPEED))

    def set_loop(self, loop: bool) -> None:
        """Start again at the end."""
        self._the_player.command(loop=loop)

    def set_range(self, first: int | None, last: int | None) -> None:
        """Play only the frames from ``first`` to ``last``."""
        self._the_player.command(range_in=first, range_out=last)

    def analyse_all(self) -> None:
        """Analyse the whole recording ahead of the display; the cache and ``confidence_curve`` fill as it goes."""
        self.cancel_analysis()
        state = self.state()
        if not state.live:
            running = self.running()
            config = resolved(deciding(self.config), None if running is None else running.estimator)
            self._ahead = AnalyseAhead(self._spec, config, self._inference.cache, state.frame_count)

    def cancel_analysis(self, wait_s: float = 0.0) -> None:
        """Stop analysing ahead after the current frame; what was analysed stays."""
        if self._ahead is not None:
            self._ahead.cancel(wait_s)

    def analysis(self) -> Progress | None:
        """Return how far analysing ahead has come, None if it was not requested."""
        return self._ahead.progress if self._ahead is not None else None

    def confidence_curve(self) -> FloatArray:
        """Return the mean joint confidence of each frame (n,): 0 where no hand was found, NaN where not analysed yet."""
        return self._inference.cache.curve(self.state().frame_count or 0)

    @property
    def _the_player(self) -> Player:
        if self._player is None:
            raise RuntimeError("the session was not started")
        return self._player

    @property
    def config(self) -> SessionConfig:
        """The configuration in use or about to be."""
        return self._inference.config

    def state(self) -> SessionState:
        """Return the current state of the source."""
        player = self._the_player
        now, source = player.state, player.source
        measured = source.fps_measured if isinstance(source, WebcamSource) else None
        return SessionState(
            source_name=source.name,
            live=source.live,
            playing=now.playing,
            ended=now.ended,
            position=now.position,
            frame_count=source.frame_count,
            fps_nominal=source.fps,
            fps_measured=measured,
            speed=now.speed,
            loop=now.loop,
            range_in=now.range_in,
            range_out=now.range_out,
            ready=self._inference.ready.is_set(),
            error=self._inference.problem or now.error,
            warning=next(iter(source.warnings[-1:]), None),
            waiting=None if self._answered or source.live else player.frame,
        )

    def stats(self) -> SessionStats:
        """Return current rates and times."""
        running = self.running()
        return self._inference.stats.snapshot(self.config.device if running is None else running.device)

    def running(self) -> RunningModel | None:
        """Return which estimator runs, None before it is loaded."""
        return self._inference.running
