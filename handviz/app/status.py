"""The status line: short facts about the source, the estimator and this machine. No Qt."""

from __future__ import annotations

from handviz.app.state import Offer, RecordingState, StatusItem, Wish
from handviz.pipeline.auto import meant
from handviz.pipeline.config import AUTO
from handviz.pipeline.session import SessionState
from handviz.pipeline.stats import SessionStats

SCALE_WORDS = {"model": "scale from model", "user": "scale from your hand", "default": "scale of an average hand"}
SLOW_CAMERA_SHARE = 0.7
SETTLED_FRAMES = 90
# Rates below this are shown with a decimal.
TENTHS_BELOW = 10.0


def is_slow(session: SessionState) -> bool:
    """Whether a camera delivers far less than its nominal rate, once it has had time to settle."""
    measured = session.fps_measured or 0.0
    return session.live and session.position > SETTLED_FRAMES and 0 < measured < SLOW_CAMERA_SHARE * session.fps_nominal


def status_items(wish: Wish, offer: Offer) -> tuple[StatusItem, ...]:
    """Return the facts, those that matter most first."""
    session, stats = offer.session, offer.stats
    if session is None:
        return (StatusItem("No source", "Nothing is open"),)
    items = [
        *_recording_items(offer.recording),
        _state_item(session),
        *([] if _is_picture(session) else _pace_items(session, stats)),
        *_source_items(session),
    ]
    if offer.contents.estimator:  # otherwise nothing was analysed yet
        items.append(StatusItem(_hands_words(offer.contents.hands), "Hands in the picture shown"))
    if offer.contents.difference_mm is not None:
        words = f"{offer.contents.compared_by} differs by {offer.contents.difference_mm:.1f} mm"
        items.append(StatusItem(words, "Mean distance between the joints, with the wrists aligned"))
    items.append(_model_item(wish, offer))
    if offer.running is not None:
        items.append(StatusItem(offer.running.device, "Where the estimator runs"))
    items.append(StatusItem(f"memory {stats.rss_mb:.0f} MB", "Memory in use"))
    return tuple(items)


def _recording_items(recording: RecordingState | None) -> list[StatusItem]:
    if recording is None:
        return []
    minutes, seconds = divmod(recording.seconds, 60)
    words = f"\u25cf REC {minutes}:{seconds:02d}, {recording.dropped} dropped"
    return [StatusItem(words, f"Recording to {recording.name}, with the poses next to it", "error")]


def _is_picture(session: SessionState) -> bool:
    return not session.live and session.fps_nominal == 0 and session.frame_count == 1


def _state_item(session: SessionState) -> StatusItem:
    if not session.ready and session.error is None:
        return StatusItem("Loading", "The estimator is being loaded", "warn")
    if _is_picture(session):
        return StatusItem("Picture", "Changing a setting analyses it again")
    if session.ended:
        return StatusItem("End", "The recording has ended; playing starts it again")
    if session.playing:
        return StatusItem("Live" if session.live else "Playing", "The source is running", "good")
    return StatusItem("Frozen" if session.live else "Paused", "Changing a setting analyses this frame again", "warn")


def _pace_items(session: SessionState, stats: SessionStats) -> list[StatusItem]:
    """How quickly pictures are analysed; before the first estimator is ready there is no rate to show."""
    rate = stats.results_per_s
    shown = f"{rate:.1f}" if 0 < rate < TENTHS_BELOW else f"{rate:.0f}"
    results = StatusItem(f"{shown} results/s", "Frames analysed per second")
    dropped = StatusItem(f"{stats.dropped} dropped", "Frames skipped because newer ones had arrived")
    age = stats.age_ms_p50
    ages = [] if age is None else [StatusItem(f"{age:.0f} ms old", "Age of the picture when it is shown (median)")]
    return [results, *ages, dropped] if session.ready else ages


def _source_items(session: SessionState) -> list[StatusItem]:
    """The source's own rate; pictures have none."""
    if not session.live:
        words = f"{session.fps_nominal:.4g} fps source"
        return [StatusItem(words, "The recording's frame rate")] if session.fps_nominal else []
    measured = session.fps_measured or 0.0
    tip = "The rate that the camera actually delivers. Many cameras halve it in low light: turn on a light or fix the exposure"
    return [StatusItem(f"camera {measured:.0f} of {session.fps_nominal:.0f} fps", tip, "warn" if is_slow(session) else "plain")]


def _hands_words(count: int) -> str:
    return "no hand" if count == 0 else f"{count} hand" + ("s" if count > 1 else "")


def _model_item(wish: Wish, offer: Offer) -> StatusItem:
    """The running estimator, and where the scale in metres comes from."""
    scale, palm = offer.contents.scale_source, wish.config.hand_scale_m
    name = offer.contents.estimator or wish.config.estimator
    tip = "The estimator, and where the scale in metres comes from"
    if offer.session is not None and not offer.session.ready:
        name = f"loading {meant(name)}"
    elif wish.config.estimator == AUTO and name != AUTO:
        reason = None if offer.running is None else offer.running.reason
        name, tip = f"auto: {name}", f"{tip}. {reason or 'It is the most accurate one, and it keeps up'}"
    elif wish.config.estimator not in (AUTO, name):
        name, tip = f"{name}, loading {wish.config.estimator}", f"{tip}. The chosen one takes over once it is loaded"
    words = "" if scale is None else f", {SCALE_WORDS.get(scale, scale)}"
    if scale == "user" and palm is not None:
        words += f" ({palm * 1e3:.0f} mm)"
    if wish.config.hand_shape is not None and scale is not None and offer.contents.mesh:
        words += ", shape held"
    return StatusItem(name + words, tip)
