"""What the user wants, what is available, and what the window shows of both, as frozen records. No Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from handviz.app.colours import ThemeName
from handviz.app.measures import difference_mm
from handviz.app.view_options import ViewOptions
from handviz.capture.base import SourceSpec
from handviz.geometry.camera import DEFAULT_FOV_DEG
from handviz.hand.library import DEFAULT_HAND
from handviz.models.weights_files import WeightsFile
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.estimators import RunningModel
from handviz.pipeline.session import SessionState
from handviz.pipeline.stats import SessionStats
from handviz.records import Frame, FrameResult

Tone = Literal["plain", "good", "warn", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Everything the user chose; ``own_calibration`` says whether a camera's own calibration is used where there is one."""

    config: SessionConfig = field(default_factory=SessionConfig)
    view: ViewOptions = field(default_factory=ViewOptions)
    theme: ThemeName = "dark"
    source: SourceSpec | None = None
    own_calibration: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """A longer job: frames done of ``total`` (None if unknown). ``stopping``: it ends after its current frame.

    Once it has ended, ``problem`` says why it failed, or else ``ending`` how it went.
    """

    words: str
    done: int = 0
    total: int | None = None
    running: bool = True
    stopping: bool = False
    problem: str | None = None
    ending: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingState:
    """A recording under way: the file's name, its length in whole seconds, and the results left out."""

    name: str
    seconds: int
    dropped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What the last result holds, and its camera's field of view."""

    hands: int = 0
    estimator: str = ""
    mesh: bool = False
    calibrated: bool = False
    fov_deg: float = DEFAULT_FOV_DEG
    scale_source: str | None = None
    difference_mm: float | None = None
    compared_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What is available right now. ``weights`` are those that the chosen estimator can run, ``default_weights`` its own."""

    estimators: tuple[str, ...] = ()
    hand_models: tuple[str, ...] = (DEFAULT_HAND,)
    lacking: tuple[tuple[str, str], ...] = ()
    weights: tuple[WeightsFile, ...] = ()
    default_weights: Path | None = None
    running: RunningModel | None = None
    session: SessionState | None = None
    stats: SessionStats = field(default_factory=SessionStats)
    contents: Contents = field(default_factory=Contents)
    opening: bool = False
    problem: str | None = None
    dismissed: frozenset[str] = frozenset()
    notice: str | None = None
    job: JobState | None = None
    recording: RecordingState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """The control panel.

    ``fov_deg`` is the given field of view or, without one or for a calibrated camera, that of the last picture's camera.
    ``rivals`` are the estimators to compare with; ``lacking`` names what cannot run here and why; ``networks`` are labels and
    paths of weights (None: the shipped ones), ``network`` the label in force; ``groups`` are the running network's that have
    joints.
    """

    source: SourceSpec | None
    config: SessionConfig
    estimators: tuple[str, ...]
    rivals: tuple[str, ...]
    hand_models: tuple[str, ...]
    can_refine: bool
    fov_deg: float
    fov_used: bool
    lacking: tuple[tuple[str, str], ...] = ()
    networks: tuple[tuple[str, Path | None], ...] = ()
    network: str | None = None
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """The transport bar. ``frame_count`` is None for a camera."""

    enabled: bool = False
    seekable: bool = False
    playing: bool = False
    position: int = 0
    frame_count: int | None = None
    fps: float = 0.0
    speed: float = 1.0
    loop: bool = False
    range_in: int | None = None
    range_out: int | None = None


@dataclass(frozen=True, slots=True)
class StatusItem:
    """One entry of the status line."""

    text: str
    tip: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that the window shows besides results and plots: without a result, ``message`` over the frame ``behind``."""

    controls: Controls
    transport: Transport
    status: tuple[StatusItem, ...]
    toggles: frozenset[str]
    options: ViewOptions
    job: JobState | None
    banner: str | None
    notice: str | None
    message: str
    behind: Frame | None
    title: str


def contents_of(result: FrameResult | None) -> Contents:
    """Say what a result holds."""
    if result is None:
        return Contents()
    hands = result.hands
    return Contents(
        hands=len(hands),
        estimator=result.estimator,
        mesh=any(hand.mesh is not None for hand in hands),
        calibrated=result.frame.camera.source == "calibrated",
        fov_deg=result.frame.camera.fov_deg,
        scale_source=hands[0].joints.scale_source if hands else None,
        difference_mm=compared_mm(result),
        compared_by=result.compared_by,
    )


def compared_mm(result: FrameResult) -> float | None:
    """Mean distance in millimetres between a result's hands and the compared estimator's, with wrists aligned."""
    others = {hand.track_id: hand for hand in result.compared}
    pairs = [(hand, others[hand.track_id]) for hand in result.hands if hand.track_id in others]
    values = [difference_mm(first.joints.joints_camera_m, second.joints.joints_camera_m) for first, second in pairs]
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else None
