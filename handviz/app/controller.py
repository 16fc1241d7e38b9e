"""Keeps wish, session and window together. Everything happens on the display's thread, driven by two timers. No Qt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from handviz.app.choices import Choices
from handviz.app.dismissed import Dismissed
from handviz.app.history import History
from handviz.app.jobs import Jobs
from handviz.app.lens import Lens
from handviz.app.offering import Installed, Offering
from handviz.app.opening import Opener, SessionFactory
from handviz.app.playback import Playback
from handviz.app.played import Played
from handviz.app.presenter import Presenter
from handviz.app.resolve import resolve
from handviz.app.shape_memory import ShapeMemory, ShapeState
from handviz.app.state import Offer, Wish
from handviz.app.tables import Tables
from handviz.app.views import MainView, SessionLike, Trails
from handviz.app.watch import Watch
from handviz.app.works import Works
from handviz.capture.base import SourceSpec, camera_choice, parse_source
from handviz.errors import HandvizError
from handviz.models.weights_files import WEIGHTS_SUFFIX
from handviz.pipeline.config import NETWORK_CHOICES, with_present_files
from handviz.pipeline.session import SessionState
from handviz.records import Frame, FrameResult

JOIN_S = 0.2
# Rates and memory are refreshed once in this many ticks, four times a second.
REGULAR_TICKS = 30


class Controller:
    """Takes the user's intents, pulls results, and touches only the parts of the window that changed."""

    def __init__(self, view: MainView, wish: Wish, factory: SessionFactory, installed: Installed) -> None:
        self.wish = replace(wish, config=with_present_files(wish.config))
        self.history = History()
        self.result: FrameResult | None = None
        self._view = view
        self._presenter = Presenter(view)
        self._session: SessionLike | None = None
        # The source opened last, or to be opened at the start: one that failed to open is not tried at the next start.
        self._opened = wish.source
        self._opener = Opener(factory)
        self._offering = Offering(installed)
        self._offering.survey(wish.config)
        self._jobs = Jobs(self.tell, self.report)
        self._played = Played()
        self.watch = Watch()
        self.shapes = ShapeMemory()
        self.tables = Tables(self)
        self.choices = Choices(self)
        self.lens = Lens(self, uses_own=wish.own_calibration)
        self.playback = Playback(lambda: self._session, self.report, self.refresh)
        self.works = Works(self._jobs, lambda: self._session, lambda: self.wish, self.report, self.refresh)
        self._ticks = 0
        # What the last tick saw of everything that changes without the user.
        self._seen: tuple[object, ...] = ()
        self._problem: str | None = None
        self._dismissed = Dismissed()
        self._notice: str | None = None

    def start(self) -> None:
        """Show the first state, and open the wished source."""
        self._view.show_theme(self.wish.theme)
        self.change_view()
        if self.wish.source is not None:
            self.open(self.wish.source)
        self.refresh()

    def stop(self) -> str | None:
        """Stop everything within about a second, with all files finished; return what became of a running export."""
        told = self._jobs.close()
        self.watch.close()
        self._close_session()
        self._opener.join(JOIN_S)
        self.wish = replace(self.wish, source=self._opened)
        return told

    # Intents: source and choices

    def open_text(self, text: str) -> None:
        """Open a source given as on the command line, or a network's weights."""
        if Path(text).suffix == WEIGHTS_SUFFIX:
            self.choices.network(Path(text))
            return
        try:
            self.open(parse_source(text))
        except HandvizError as error:
            self.report(str(error))

    def open(self, spec: SourceSpec) -> None:
        """Open a source in place of the current one.

        The current one runs on until a file is open, but is left before a camera is opened, which may be the same one.
        """
        self._problem = None
        former = self._leave_for(spec) if spec.kind == "camera" else None
        self._opener.request(spec, self.lasting.config, former)
        self.refresh()

    def frame(self) -> Frame | None:
        """The frame shown last."""
        return None if self.result is None else self.result.frame

    @property
    def lasting(self) -> Wish:
        """The wish without what belongs to the current camera alone: its own calibration."""
        return replace(self.wish, config=self.lens.lasting(self.wish.config))

    def close_source(self) -> None:
        """Close the present source."""
        self._opener.cancel()
        self._close_session()
        self.wish, self._opened = replace(self.wish, source=None), None
        self.refresh()

    def configure(self, **changes: Any) -> bool:
        """Change fields of the session's configuration; return whether they were accepted. If not, the problem is shown."""
        if changes.get("hand_model", self.wish.config.hand_model) != self.wish.config.hand_model:
            # The shape's values mean something else with another hand model.
            changes.setdefault("hand_shape", None)
        config = replace(self.wish.config, **changes)
        if not changes.keys().isdisjoint(NETWORK_CHOICES):
            config = with_present_files(config)
        if config.compare_with == config.estimator:
            config = replace(config, compare_with=None)
        try:
            if self._session is not None:
                self._session.update(config)
            elif "intrinsics" in changes:
                # Reported now, and not as a fault of the source that is opened next.
                camera_choice(*config.camera)
        except HandvizError as error:
            self.report(str(error))
            return False
        self.wish = replace(self.wish, config=config)
        self._offering.survey(config)
        self._problem = None
        self.refresh()
        return True

    def change_view(self, **changes: Any) -> None:
        """Change view options and show the current result again."""
        view = replace(self.wish.view, **changes)
        self.wish = replace(self.wish, view=view)
        maps = {"want_heatmaps": view.heatmaps or view.seen_mask, "want_features": view.features}
        if any(getattr(self.wish.config, name) != wanted for name, wanted in maps.items()):
            self.configure(**maps)
        self._prepare()
        self.refresh()
        self._show_result()

    def toggle(self, name: str) -> None:
        """Flip one view option."""
        self.change_view(**{name: not getattr(self.wish.view, name)})

    def change_wish(self, wish: Wish) -> None:
        """Apply a whole wish, such as a preset's, or nothing of it if its configuration is rejected; the source stays."""
        config = replace(wish.config, intrinsics=wish.config.intrinsics or self.lens.own)
        if not self.configure(**{name: getattr(config, name) for name in config.__slots__}):
            return
        self.wish = replace(self.wish, view=wish.view, theme=wish.theme)
        self._view.show_theme(self.wish.theme)
        self._prepare()
        self.refresh()
        self._show_result()

    def switch_theme(self) -> None:
        """Dark to light and back."""
        self.wish = replace(self.wish, theme="light" if self.wish.theme == "dark" else "dark")
        self._view.show_theme(self.wish.theme)
        self.refresh()

    def show_again(self) -> None:
        """Show everything in force again, after a part of the window showed a choice that was not accepted."""
        self._presenter.forget()
        self.refresh()

    @property
    def shape_state(self) -> ShapeState:
        """What is known about the person's hand shape."""
        return self.shapes.state(self.result, self.wish.config)

    def dismiss(self) -> None:
        """Hide the banner until something new happens."""
        if self._presenter.banner is not None:
            self._dismissed.add(self._presenter.banner)
        self._problem = None
        self.refresh()

    def report(self, problem: str | None) -> None:
        """Show a problem in the banner, even one that was closed before; None hides it."""
        self._problem = problem
        self._dismissed.allow(problem)
        self.refresh()

    def tell(self, notice: str | None) -> None:
        """Show a notice of what was done; None hides it."""
        self._notice = notice
        self.refresh()

    # The two timers

    def tick(self) -> None:
        """Pull what is new; called so often that no result waits long, at hardly any cost if there is nothing new."""
        self._ticks += 1
        self._take_opened()
        if self._session is not None:
            self._pull(self._session)
        state = None if self._session is None else self._session.state()
        if state is not None:
            self._dismissed.look(state.error)
        self._watch_refinement(state)
        self._jobs.look()
        if self._ticks % REGULAR_TICKS == 0:
            self._offering.take_stats(self._session)
        seen = (state, self.result, self.wish, self._problem, self._opener.busy, self._jobs.job, self._jobs.recording)
        if self._ticks % REGULAR_TICKS == 0 or seen != self._seen:
            self._seen = seen
            self.refresh()

    def _take_opened(self) -> None:
        opened = self._opener.poll()
        if opened is None:
            return
        if opened.session is None:
            # If the former source was left for a camera that failed to open, nothing is open now.
            self.wish = replace(self.wish, source=None if self._session is None else self._opened)
            self.report(opened.problem)
            return
        former = self._leave_for(opened.spec)
        if former is not None:
            former.stop()
        self._session, self._opened = opened.session, opened.spec
        self._prepare()
        if self._session.config != self.wish.config:
            # Changed while the source was being opened.
            self.configure()

    def _leave_for(self, spec: SourceSpec) -> SessionLike | None:
        """Leave the current source for another; return its session, which the caller has to stop."""
        former = self._let_go()
        self._dismissed.clear()
        self.wish = replace(self.lasting, source=spec)
        self.lens.leave()
        return former

    def _watch_refinement(self, state: SessionState | None) -> None:
        if self.watch.look(self.result, self.wish.view, self.wish.config, state):
            self._view.show_refinement(self.watch.state)
            self._show_result()
        if self.watch.first_seen():
            # The refinement shows in the mesh, so it is switched on; the user can switch it off again.
            self.change_view(mesh_overlay=True, mesh_3d=True)

    def plot_tick(self) -> None:
        """Update the plots; called a few times a second."""
        session = self._session
        curve = np.zeros(0) if session is None or session.state().live else session.confidence_curve()
        running = self.offer.running
        self.history.selector_JK = None if running is None else running.selector_JK
        self._view.show_plots(self.history, self.offer.stats, curve)
        self._view.show_shape(self.shape_state)

    def _pull(self, session: SessionLike) -> None:
        if session.config != self.wish.config:
            # A choice that could not be applied, such as an estimator without weights: show what is in force, and why.
            self._problem = session.state().error or self._problem
            self.wish = replace(self.wish, config=session.config)
            self._offering.survey(self.wish.config)
        self._played.look(session.state())
        result = session.latest()
        if result is not None:
            self._take(result, session)
        if self._played.just_ended():
            self._jobs.stop_recording("The source has ended.")

    def _take(self, result: FrameResult, session: SessionLike) -> None:
        if self.result is None:
            self.lens.use_own(result.frame.camera.size)
        self.result = result
        self.history.add(result)
        self.shapes.add(result, session.config)
        if self._played.takes(result.frame.index):
            self._record(result)
        self._show_result()

    def _record(self, result: FrameResult) -> None:
        if self._jobs.recording is not None:
            self._jobs.take(result, self._view.drawing(self.wish.view, self._trails()))

    def _show_result(self) -> None:
        if self.result is not None:
            result = self.watch.applied(self.result)
            self._view.show_result(result, self.wish.view, self._trails())

    def _prepare(self) -> None:
        """Let the analysis prepare what the current view will need of each result."""
        if self._session is not None:
            self._session.prepare_with(self._view.preparation(self.wish.view))

    def _trails(self) -> Trails:
        return self.history.trails() if self.wish.view.trails else {}

    def refresh(self) -> None:
        """Resolve again and show what has changed."""
        self._presenter.show(resolve(self.wish, self._look()), with_message=self.result is None)

    def _look(self) -> Offer:
        return self._offering.look(
            self._session,
            self.result,
            opening=self._opener.busy,
            problem=self._problem,
            dismissed=self._dismissed.texts,
            notice=self._opening_words() or self._notice,
            job=self._jobs.job,
            recording=self._jobs.recording,
        )

    def _opening_words(self) -> str | None:
        """Return a notice that a file is slow to open, if the former source is still shown."""
        spec = self._opener.long
        return None if spec is None or self._session is None else f"Opening {spec.name}…"

    def _close_session(self) -> None:
        former = self._let_go()
        if former is not None:
            former.stop()

    def _let_go(self) -> SessionLike | None:
        """Leave the current source; return its session, which the caller has to stop."""
        self._jobs.leave_source()
        former, self._session = self._session, None
        self.result = None
        self._played = Played()
        self._presenter.forget()
        self.history.clear()
        self.shapes.clear()
        return former

    @property
    def session(self) -> SessionLike | None:
        """The current session."""
        return self._session

    @property
    def offer(self) -> Offer:
        """The offer as of the last look."""
        return self._offering.offer
