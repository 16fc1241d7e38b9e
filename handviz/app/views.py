"""What the controller needs of a window. The Qt window has this shape; tests use a mock of it. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from handviz.app.colours import ThemeName
from handviz.app.history import History
from handviz.app.shape_memory import ShapeState
from handviz.app.state import Controls, JobState, StatusItem, Transport
from handviz.app.view_options import ViewOptions
from handviz.app.watch import WatchState
from handviz.geometry.camera import FloatArray
from handviz.pipeline.ahead import Progress
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.estimators import RunningModel
from handviz.pipeline.inference import Preparation
from handviz.pipeline.session import SessionState
from handviz.pipeline.stats import SessionStats
from handviz.records import Frame, FrameResult, UInt8Array

Trails = Mapping[int, Sequence[FloatArray]]
Drawing = Callable[[FrameResult], UInt8Array]


class MainView(Protocol):
    """The window, in parts that change independently."""

    def show_controls(self, controls: Controls) -> None:
        """Show the choices in force."""
        ...

    def show_transport(self, transport: Transport) -> None:
        """Show where the source stands."""
        ...

    def show_status(self, items: tuple[StatusItem, ...]) -> None:
        """Show the status line."""
        ...

    def show_options(self, options: ViewOptions, useful: frozenset[str]) -> None:
        """Show the view toggles and which of them have an effect."""
        ...

    def show_banner(self, text: str | None) -> None:
        """Show or hide the one non-modal message about what is wrong."""
        ...

    def show_notice(self, text: str | None) -> None:
        """Show or hide the one non-modal message about what was done."""
        ...

    def show_title(self, title: str) -> None:
        """Show the window's title."""
        ...

    def show_theme(self, name: ThemeName) -> None:
        """Colour everything."""
        ...

    def show_message(self, text: str, behind: Frame | None) -> None:
        """Show words in place of a result, over a frame that has none yet."""
        ...

    def show_result(self, result: FrameResult, options: ViewOptions, trails: Trails) -> None:
        """Show a result in the picture and in 3D."""
        ...

    def drawing(self, options: ViewOptions, trails: Trails) -> Drawing:
        """Return a function that draws a result as ``show_result`` would, in the picture's own resolution, in any thread."""
        ...

    def preparation(self, options: ViewOptions) -> Preparation:
        """Return a function that prepares what ``show_result`` will need of a result, in any thread."""
        ...

    def show_job(self, job: JobState | None) -> None:
        """Show a longer job's progress, or that there is none."""
        ...

    def show_refinement(self, state: WatchState) -> None:
        """Show the refinement of the held frame, or why there is none."""
        ...

    def show_shape(self, state: ShapeState) -> None:
        """Show what is known about the person's hand shape; called as often as ``show_plots``."""
        ...

    def show_plots(self, history: History, stats: SessionStats, curve: FloatArray) -> None:
        """Update the plots; called a few times a second. ``curve`` (frames,) is the confidence over the seek bar."""
        ...


class SessionLike(Protocol):
    """What the controller uses of ``handviz.pipeline.session.Session``, which says what each method does."""

    @property
    def config(self) -> SessionConfig:
        """The choices in force or about to be."""
        ...

    def start(self) -> None:
        """Open the source and begin."""
        ...

    def stop(self) -> None:
        """Stop within a second."""
        ...

    def latest(self) -> FrameResult | None:
        """The newest result not yet taken."""
        ...

    def update(self, config: SessionConfig) -> None:
        """Change choices."""
        ...

    def prepare_with(self, prepare: Preparation) -> None:
        """Let the analysis call this with each result before it hands it over."""
        ...

    def pause(self) -> None:
        """Pause."""
        ...

    def resume(self) -> None:
        """Resume."""
        ...

    def seek(self, index: int) -> None:
        """Show a frame."""
        ...

    def step(self, delta: int) -> None:
        """Pause and move."""
        ...

    def set_speed(self, factor: float) -> None:
        """Play faster or slower."""
        ...

    def set_loop(self, loop: bool) -> None:
        """Set whether to begin again at the end."""
        ...

    def set_range(self, first: int | None, last: int | None) -> None:
        """Play a part."""
        ...

    def state(self) -> SessionState:
        """Where the source stands."""
        ...

    def stats(self) -> SessionStats:
        """Rates and times."""
        ...

    def running(self) -> RunningModel | None:
        """Which estimator runs."""
        ...

    def analyse_all(self) -> None:
        """Analyse the whole recording ahead."""
        ...

    def cancel_analysis(self, wait_s: float = 0.0) -> None:
        """Stop analysing ahead."""
        ...

    def analysis(self) -> Progress | None:
        """The progress of analysing ahead."""
        ...

    def confidence_curve(self) -> FloatArray:
        """Confidence of each frame; NaN where not analysed yet."""
        ...
