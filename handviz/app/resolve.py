"""The one pure function that turns what the user wants and what there is into what the window shows. No Qt."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from handviz.app.state import Controls, Offer, Snapshot, Transport, Wish
from handviz.app.status import is_slow, status_items
from handviz.estimate.registry import gives_mesh, has_heatmaps, refines
from handviz.pipeline.auto import meant, resolved
from handviz.pipeline.config import AUTO
from handviz.pipeline.session import SessionState

SLOW_CAMERA_WORDS = (
    "The camera delivers far fewer frames than its nominal rate. Most cameras do so in low light, because they expose longer: "
    "turn on a light, or set the exposure manually under Camera > Settings."
)


def resolve(wish: Wish, offer: Offer) -> Snapshot:
    """Return what the window shows for a wish and an offer."""
    return Snapshot(
        controls=_controls(wish, offer),
        transport=_transport(offer.session),
        status=status_items(wish, offer),
        toggles=_useful_toggles(wish, offer),
        options=wish.view,
        job=offer.job,
        banner=_banner(offer),
        notice=offer.notice,
        message=_message(offer),
        behind=None if offer.session is None else offer.session.waiting,
        title=_title(offer.session),
    )


def _banner(offer: Offer) -> str | None:
    session = offer.session
    text = offer.problem
    if session is not None:
        text = text or session.error or (SLOW_CAMERA_WORDS if is_slow(session) else session.warning)
    return None if text in offer.dismissed else text


def _controls(wish: Wish, offer: Offer) -> Controls:
    given = wish.config.weights_of(meant(wish.config.estimator))
    networks = _networks(given, offer)
    selector = None if offer.running is None else offer.running.selector_JK
    return Controls(
        source=wish.source,
        config=wish.config,
        estimators=offer.estimators,
        rivals=tuple(name for name in offer.estimators if name not in (AUTO, wish.config.estimator)),
        # One that is gone stays listed as long as it is chosen, or the list would show another.
        hand_models=tuple(dict.fromkeys((*offer.hand_models, wish.config.hand_model))),
        can_refine=refines(wish.config.estimator),
        fov_deg=(None if offer.contents.calibrated else wish.config.fov_deg) or offer.contents.fov_deg,
        fov_used=wish.config.intrinsics is None and not offer.contents.calibrated,
        lacking=offer.lacking,
        networks=networks,
        network=next((words for words, path in networks if path == given), None),
        groups=() if selector is None else tuple(int(group) for group in np.unique(selector.argmax(1))),
    )


def _networks(given: Path | None, offer: Offer) -> tuple[tuple[str, Path | None], ...]:
    """Return label and path of every network to choose from; the shipped one has no path, a given file comes last.

    No label occurs twice: shipped files come first, so another file of the same name is the user's. The label begins with
    that, because the list may be too narrow for the whole name.
    """
    listed: dict[str, Path | None] = {}
    for file in offer.weights:
        words = f"yours: {file.label}" if file.label in listed else file.label
        listed[words] = None if file.path == offer.default_weights else file.path
    if given is not None and given not in listed.values():
        words = f"{given.parent.name}: {given.stem}" if given.stem in listed else given.stem
        listed[words] = given
    return tuple(listed.items())


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


def _useful_toggles(wish: Wish, offer: Offer) -> frozenset[str]:
    """Names of the view toggles that can change something."""
    running = offer.running
    name = resolved(wish.config, None if running is None else running.estimator).estimator
    names = {"skeleton", "boxes", "trails", "mirror", "skeleton_3d", "frustum", "grid", "follow"}
    if wish.config.compare_with is not None:
        names.add("side_by_side")
    if gives_mesh(name):
        names |= {"mesh_overlay", "mask", "mesh_3d", "mesh_style"}
    if running is not None and running.selector_JK is not None:
        names.add("group_colours")
    if has_heatmaps(name):
        names.add("heatmaps")
    if refines(wish.config.estimator):
        names |= {"seen_mask", "features"}
    return frozenset(names)


def _message(offer: Offer) -> str:
    if offer.opening:
        return "Opening…"
    if offer.session is None:
        return "Open a camera, a video, a picture or a folder,\nor drop a file here."
    if offer.session.ready:
        return "Waiting for the first picture…" if offer.session.waiting is None else "Looking for hands…"
    return "Starting the estimator…" if offer.session.error is None else "No estimator is running."


def _title(session: SessionState | None) -> str:
    return "handviz" if session is None else f"{session.source_name} — handviz"
