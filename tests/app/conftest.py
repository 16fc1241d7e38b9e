"""Off-screen Qt, a synthetic moving hand, and a stand-in for a running session."""

from __future__ import annotations

import gc
import os
import threading

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock, create_autospec

import numpy as np
import pytest

from handviz.app.controller import Controller
from handviz.app.settings import WindowLayout
from handviz.app.state import Wish
from handviz.app.viewport.renderer import Renderer
from handviz.app.views import MainView
from handviz.capture.base import SourceSpec
from handviz.errors import SourceError
from handviz.geometry.camera import camera_from_fov, project
from handviz.hand.skeleton import FINGERS, NUM_JOINTS
from handviz.pipeline.ahead import Progress
from handviz.pipeline.config import AUTO, SessionConfig
from handviz.pipeline.estimators import RunningModel
from handviz.pipeline.inference import Preparation
from handviz.pipeline.session import SessionState
from handviz.pipeline.stats import SessionStats, StatsPoint
from handviz.records import Frame, FrameResult, HandEstimate, HandJoints, HandMesh, HandParams
from tests.app.controlling import INSTALLED

if TYPE_CHECKING:
    from handviz.app.application import App
    from handviz.app.opening import SessionFactory
    from handviz.app.state import Wish

# As ``handviz.app.main`` does: before the first window.
Renderer.load_library()
CAMERA = camera_from_fov(320, 240)
# The smallest that it may be: a test of the window spends most of its time drawing it.
SMALL = WindowLayout(width=1024, height=700)
FRAMES = 50
FPS = 25.0
# Three groups, each sure of seven joints.
SELECTOR_JK = np.kron(np.eye(3), np.ones((7, 1))) * 0.85 + 0.05


def hand_joints(phase: float = 0.0, place: tuple[float, float, float] = (0.0, 0.05, 0.5)) -> np.ndarray:
    """An upright open hand (21, 3) in metres that bends its fingers with the phase."""
    joints = np.zeros((NUM_JOINTS, 3))
    bend = 0.5 - 0.5 * np.cos(phase)
    for number in range(len(FINGERS)):
        across = (number - 2) * 0.02
        base = np.array([across * (1.6 if number == 0 else 1.0), -0.03 if number == 0 else -0.085, 0.0])
        for part in range(4):
            angle = bend * 0.9 * part
            base = base + (np.array([0.0, -np.cos(angle), -np.sin(angle)]) * 0.028 if part else 0)
            joints[1 + 4 * number + part] = base
    return joints + np.array(place)


def ball_mesh(centre: np.ndarray) -> HandMesh:
    """A small octahedron, wound outwards."""
    corners = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1.0]]) * 0.05
    faces = np.array([[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]])
    params = HandParams(pose=np.zeros(45), shape=np.zeros(10), root_rotation=np.zeros(3), translation_m=centre)
    return HandMesh(vertices_camera_m=corners + centre, faces=faces, params=params)


def make_hand(
    index: int, *, place: tuple[float, float, float] = (0.0, 0.05, 0.5), track: int = 1, mesh: bool = True
) -> HandEstimate:
    joints = hand_joints(index / 5, place)
    pixels = project(joints, CAMERA.K)
    box = np.concatenate([pixels.min(0), pixels.max(0)])
    return HandEstimate(
        track_id=track,
        side="right" if track == 1 else "left",
        score=0.9,
        box_xyxy_px=box,
        joints=HandJoints(joints_camera_m=joints, joints_px=pixels, confidence=np.linspace(0.4, 1, NUM_JOINTS)),
        mesh=ball_mesh(joints.mean(0)) if mesh else None,
        groups=np.arange(NUM_JOINTS) // 4,
    )


def make_result(index: int = 0, hands: tuple[HandEstimate, ...] | None = None) -> FrameResult:
    rgb = np.full((240, 320, 3), 60 + index, np.uint8)
    frame = Frame(index=index, t_capture_s=index / FPS, t_arrival_s=index / FPS, rgb=rgb, camera=CAMERA)
    shown = (make_hand(index),) if hands is None else hands
    return FrameResult(frame=frame, hands=shown, timings_ms={"detect": 2.0, "estimate": 9.0}, estimator="mediapipe")


@dataclass
class FakeSession:
    """Plays synthetic results: one new frame per pull. Records what it was asked to do."""

    spec: SourceSpec
    config: SessionConfig
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    live: bool = False
    stopped: bool = False
    error: str | None = None
    now: SessionState | None = None
    fresh: bool = True
    progress: Progress | None = None
    prepare: Preparation | None = None
    broken: object = None
    gate: threading.Event | None = None

    def start(self) -> None:
        assert self.gate is None or self.gate.wait(60)
        if self.spec.kind == "camera" and self.spec.camera == self.broken:
            raise SourceError(f"{self.spec.name}: it is not there. Choose another")
        if self.spec.name == "broken.mp4":
            raise SourceError("broken.mp4: this is no video. Give another file")
        self.live = self.spec.kind == "camera"
        self.now = SessionState(
            source_name=self.spec.name, live=self.live, playing=True, ended=False, position=-1,
            frame_count=None if self.live else FRAMES, fps_nominal=FPS, fps_measured=12.0 if self.live else None,
            speed=1.0, loop=False, range_in=None, range_out=None, ready=True, error=None,
        )  # fmt: skip

    def state(self) -> SessionState:
        assert self.now is not None
        return replace(self.now, error=self.error)

    def change(self, **changes: Any) -> None:
        assert self.now is not None
        self.now = replace(self.now, **changes)

    def latest(self) -> FrameResult | None:
        if self.state().playing:
            self.change(position=(self.state().position + 1) % FRAMES)
        elif not self.fresh:
            return None
        self.fresh = False
        result = make_result(self.state().position)
        if self.config.compare_with is not None:
            other = make_hand(self.state().position, place=(0.01, 0.04, 0.5), mesh=False)
            result = replace(result, compared=(other,), compared_by=self.config.compare_with)
        if self.prepare is not None:
            self.prepare(result)
        return result

    def prepare_with(self, prepare: Preparation) -> None:
        self.prepare = prepare

    def stop(self) -> None:
        self.stopped = True

    def update(self, config: SessionConfig) -> None:
        if config.intrinsics is not None and not config.intrinsics.exists():
            raise SourceError(f"{config.intrinsics}: no intrinsics here")
        self.asked.append(("update", config))
        if config.estimator == "unmet":
            self.error = "unmet: these weights are not in this copy of handviz"
            return
        self.config, self.fresh = config, True

    def pause(self) -> None:
        self.change(playing=False)

    def resume(self) -> None:
        self.change(playing=True)

    def seek(self, index: int) -> None:
        self.asked.append(("seek", index))
        self.change(position=index)
        self.fresh = True

    def step(self, delta: int) -> None:
        self.change(playing=False, position=self.state().position + delta)
        self.fresh = True

    def set_speed(self, factor: float) -> None:
        self.change(speed=factor)

    def set_loop(self, loop: bool) -> None:
        self.change(loop=loop)

    def set_range(self, first: int | None, last: int | None) -> None:
        self.change(range_in=first, range_out=last)

    def analyse_all(self) -> None:
        self.progress = Progress(done=3, total=FRAMES, running=True)

    def cancel_analysis(self, wait_s: float = 0.0) -> None:
        self.progress = Progress(done=3, total=FRAMES)

    def analysis(self) -> Progress | None:
        return self.progress

    def confidence_curve(self) -> np.ndarray:
        return np.linspace(0.2, 1.0, FRAMES)

    def running(self) -> RunningModel:
        groups = self.config.estimator in ("groups", AUTO)
        return RunningModel(estimator=self.config.estimator, device="cpu", selector_JK=SELECTOR_JK if groups else None)

    def stats(self) -> SessionStats:
        points = tuple(
            StatsPoint(frame=i, t_s=i / 30, stage_ms={"detect": 2.0, "estimate": 9.0 + i % 3}, age_ms=30.0) for i in range(90)
        )
        return SessionStats(
            results_per_s=30.0, age_ms_p50=31.0, dropped=4, stage_ms={"detect": 2.0}, device="cpu", rss_mb=321.0, history=points
        )


@dataclass
class FakeFactory:
    """Makes sessions and remembers them. The camera ``broken`` does not open, and what is opened waits for the ``gate``."""

    made: list[FakeSession] = field(default_factory=list)
    broken: object = None
    gate: threading.Event | None = None

    def __call__(self, spec: SourceSpec, config: SessionConfig) -> FakeSession:
        session = FakeSession(spec, config, broken=self.broken, gate=self.gate)
        self.made.append(session)
        return session


@pytest.fixture
def factory() -> FakeFactory:
    return FakeFactory()


@pytest.fixture
def view() -> Mock:
    """A mock with the window's shape."""
    return create_autospec(MainView, instance=True)


@pytest.fixture
def controller(view: Mock, factory: FakeFactory) -> Iterator[Controller]:
    """A controller of the mock."""
    made = Controller(view, Wish(), factory, INSTALLED)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def qapp_cls() -> Any:
    """The class of pytest-qt's application, which exists already, made as the app makes it."""
    from PySide6.QtWidgets import QApplication

    from handviz.app.application import make_application

    make_application()
    return QApplication


@pytest.fixture
def open_app(qtbot: Any, factory: FakeFactory) -> Iterator[Callable[..., App]]:
    """Opens windows and waits for their first result; over the stand-in session unless another factory is given."""
    from PySide6.QtWidgets import QApplication

    from handviz.app.application import App

    opened: list[App] = []

    def build(wish: Wish, factory: SessionFactory = factory) -> App:
        made = App(wish, factory)
        opened.append(made)
        made.window.arrange(SMALL)
        made.start()
        qtbot.waitUntil(lambda: made.controller.result is not None, timeout=60_000)
        return made

    yield build
    for made in opened:
        made.window.close()
        made.window.deleteLater()
    QApplication.processEvents()


@pytest.fixture(autouse=True)
def windows_end_on_this_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    """Delete closed windows at once: left to the garbage collector, one may be deleted by a session's thread, which crashes.

    Each one left is themed again with every later window, and opening one soon takes seconds.
    """
    yield
    if request.node.get_closest_marker("gui") is not None:
        from PySide6.QtCore import QCoreApplication, QEvent
        from PySide6.QtWidgets import QApplication

        from handviz.app.window import MainWindow

        for widget in QApplication.topLevelWidgets():
            if isinstance(widget, MainWindow) and not widget.isVisible():
                widget.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        gc.collect()


@pytest.fixture
def save_as(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Answers every save dialog with this path, as if it had been typed into it."""
    from PySide6.QtWidgets import QFileDialog, QLineEdit

    def answer(path: Path) -> None:
        def typed(dialog: QFileDialog) -> bool:
            dialog.findChild(QLineEdit).setText(str(path))
            return True

        monkeypatch.setattr(QFileDialog, "exec", typed)

    return answer


@pytest.fixture
def results() -> Callable[..., FrameResult]:
    return make_result


@pytest.fixture
def hands() -> Callable[..., HandEstimate]:
    return make_hand
