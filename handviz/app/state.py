"""What the user wants, what there is, and the one pure function that turns both into what the window shows. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from handviz.app.colours import ThemeName
from handviz.app.measures import difference_mm
from handviz.app.view_options import ViewOptions
from handviz.capture.base import SourceSpec
from handviz.pipeline.session import SessionState
from handviz.pipeline.stats import SessionStats
from handviz.pipeline.step import SessionConfig
from handviz.records import FrameResult

REFINABLE = ("dense",)
Tone = Literal["plain", "good", "warn", "error"]
SCALE_WORDS = {"model": "scale from model", "user": "scale from your hand", "default": "scale of an average hand"}
SLOW_CAMERA_SHARE = 0.7
SETTLED_FRAMES = 90
SLOW_CAMERA_WORDS = (
    "The camera gives far fewer pictures than it promised. Most cameras do so in low light, because they expose longer: "
    "turn on a light, or switch the camera's automatic exposure off."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Everything the user chose."""

    config: SessionConfig = field(default_factory=SessionConfig)
    view: ViewOptions = field(default_factory=ViewOptions)
    theme: ThemeName = "dark"
    source: SourceSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """A longer work: frames done of ``total`` (None where unknown); ``problem`` is why it ended early."""

    words: str
    done: int = 0
    total: int | None = None
    running: bool = True
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingState:
    """A recording under way: the file's name, its length in whole seconds, results left out."""

    name: str
    seconds: int
    dropped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What the last result holds, so that switches without effect are greyed."""

    hands: int = 0
    estimator: str = ""
    mesh: bool = False
    groups: bool = False
    heatmaps: bool = False
    calibrated: bool = False
    scale_source: str | None = None
    difference_mm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What there is right now."""

    estimators: tuple[str, ...] = ()
    hand_models: tuple[str, ...] = ("default",)
    session: SessionState | None = None
    stats: SessionStats = field(default_factory=SessionStats)
    contents: Contents = field(default_factory=Contents)
    opening: bool = False
    problem: str | None = None
    dismissed: str | None = None
    job: JobState | None = None
    recording: RecordingState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """The control panel."""

    source: SourceSpec | None
    config: SessionConfig
    estimators: tuple[str, ...]
    hand_models: tuple[str, ...]
    can_compare: bool
    can_refine: bool
    fov_used: bool
    theme: ThemeName


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
    """All that the window shows besides pictures and plots."""

    controls: Controls
    transport: Transport
    status: tuple[StatusItem, ...]
    toggles: frozenset[str]
    options: ViewOptions
    job: JobState | None
    banner: str | None
    message: str
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
        groups=any(hand.groups is not None for hand in hands),
        heatmaps=any(hand.heatmaps is not None for hand in hands),
        calibrated=result.frame.camera.source == "calibrated",
        scale_source=hands[0].joints.scale_source if hands else None,
        difference_mm=compared_mm(result),
    )


def compared_mm(result: FrameResult) -> float | None:
    """Mean distance in millimetres between a result's hands and the compared estimator's, wrists put together."""
    others = {hand.track_id: hand for hand in result.compared}
    pairs = [(hand, others[hand.track_id]) for hand in result.hands if hand.track_id in others]
    values = [difference_mm(first.joints.joints_camera_m, second.joints.joints_camera_m) for first, second in pairs]
    return sum(values) / len(values) if values else None


def can_refine(config: SessionConfig) -> bool:
    """Whether the chosen estimator knows refinement."""
    return config.estimator.startswith(REFINABLE)


def resolve(wish: Wish, offer: Offer) -> Snapshot:
    """Return what the window shows for a wish and an offer."""
    return Snapshot(
        controls=_controls(wish, offer),
        transport=_transport(offer.session),
        status=_status(wish, offer),
        toggles=_useful_toggles(offer.contents, wish),
        options=wish.view,
        job=offer.job,
        banner=_banner(offer),
        message=_message(offer),
        title=_title(offer.session),
    )


def _banner(offer: Offer) -> str | None:
    session = offer.session
    text = offer.problem
    if session is not None:
        text = text or session.error or (SLOW_CAMERA_WORDS if _is_slow(session) else None)
    return None if text == offer.dismissed else text


def _is_slow(session: SessionState) -> bool:
    """Whether a camera gives much less than it promised, once it had time to settle."""
    measured = session.fps_measured or 0.0
    return session.live and session.position > SETTLED_FRAMES and 0 < measured < SLOW_CAMERA_SHARE * session.fps_nominal


def _controls(wish: Wish, offer: Offer) -> Controls:
    return Controls(
        source=wish.source,
        config=wish.config,
        estimators=offer.estimators,
        hand_models=offer.hand_models,
        can_compare=len(offer.estimators) > 1,
        can_refine=can_refine(wish.config),
        fov_used=wish.config.intrinsics is None and not offer.contents.calibrated,
        theme=wish.theme,
    )


def _transport(session: SessionState | None) -> Transport:
    if session is None:
        return Transport()
    return Transport(
        enabled=True,
        seekable=not session.live and (session.frame_count or 0) > 1,
        playing=session.playing,
        position=max(session.position, 0),
        frame_count=session.frame_count,
        fps=session.fps_nominal,
        speed=session.speed,
        loop=session.loop,
        range_in=session.range_in,
        range_out=session.range_out,
    )


def _useful_toggles(contents: Contents, wish: Wish) -> frozenset[str]:
    """Names of the view toggles that can change something."""
    names = {"skeleton", "boxes", "trails", "mirror", "skeleton_3d", "frustum", "grid", "follow"}
    if contents.difference_mm is not None:
        names.add("side_by_side")
    if contents.mesh:
        names |= {"mesh_overlay", "mask", "mesh_3d", "mesh_style"}
    if contents.groups:
        names.add("group_colours")
    if contents.heatmaps or not wish.config.estimator.startswith("mediapipe"):
        names.add("heatmaps")
    return frozenset(names)


def _message(offer: Offer) -> str:
    if offer.opening:
        return "Opening…"
    if offer.session is None:
        return "Open a camera, a video, a picture or a folder,\nor drop a file here."
    return "Starting the estimator…" if not offer.session.ready else "Waiting for the first picture…"


def _title(session: SessionState | None) -> str:
    return "handviz" if session is None else f"{session.source_name} — handviz"


def _status(wish: Wish, offer: Offer) -> tuple[StatusItem, ...]:
    session, stats = offer.session, offer.stats
    if session is None:
        return (StatusItem("No source", "Nothing is open"),)
    items = [
        *_recording_items(offer.recording),
        _state_item(session),
        _rate_item(session, stats),
        *_age_items(stats),
        _camera_item(session),
    ]
    items.append(StatusItem(f"{stats.dropped} dropped", "Frames that no one analysed because newer ones had come"))
    items.append(StatusItem(_hands_words(offer.contents.hands), "Hands in the picture shown"))
    if offer.contents.difference_mm is not None:
        words = f"{wish.config.compare_with} differs by {offer.contents.difference_mm:.1f} mm"
        items.append(StatusItem(words, "Mean distance of the joints, wrists put together"))
    items.append(StatusItem(_model_words(wish, offer), "The estimator, and how metres were obtained"))
    items.append(StatusItem(f"{stats.device or wish.config.device}", "Where the estimator runs"))
    items.append(StatusItem(f"{stats.rss_mb:.0f} MB", "Memory in use"))
    return tuple(items)


def _recording_items(recording: RecordingState | None) -> list[StatusItem]:
    if recording is None:
        return []
    minutes, seconds = divmod(recording.seconds, 60)
    words = f"\u25cf REC {minutes}:{seconds:02d}, {recording.dropped} dropped"
    return [StatusItem(words, f"Recording to {recording.name}, with the poses beside it", "error")]


def _state_item(session: SessionState) -> StatusItem:
    if session.ended:
        return StatusItem("End", "The recording is over; play starts it again")
    if session.playing:
        return StatusItem("Live" if session.live else "Playing", "The source is running", "good")
    return StatusItem("Frozen" if session.live else "Paused", "Changing a choice analyses this frame again", "warn")


def _rate_item(session: SessionState, stats: SessionStats) -> StatusItem:
    return StatusItem(f"{stats.results_per_s:.0f} results/s", "Analysed frames a second")


def _age_items(stats: SessionStats) -> list[StatusItem]:
    if stats.age_ms_p50 is None:
        return []
    return [StatusItem(f"{stats.age_ms_p50:.0f} ms", "Age of the picture when it is shown (median)")]


def _camera_item(session: SessionState) -> StatusItem:
    if not session.live:
        return StatusItem(f"{session.fps_nominal:.4g} fps source", "The recording's own rate")
    measured = session.fps_measured or 0.0
    tip = "The rate that the camera really gives. Low light makes many cameras halve it: turn on a light or fix the exposure"
    return StatusItem(f"camera {measured:.0f} of {session.fps_nominal:.0f} fps", tip, "warn" if _is_slow(session) else "plain")


def _hands_words(count: int) -> str:
    return "no hand" if count == 0 else f"{count} hand" + ("s" if count > 1 else "")


def _model_words(wish: Wish, offer: Offer) -> str:
    scale = offer.contents.scale_source
    name = offer.contents.estimator or wish.config.estimator
    return name if scale is None else f"{name}, {SCALE_WORDS.get(scale, scale)}"
