"""From parsed arguments to the pipeline's configuration."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from handviz.capture.base import SourceSpec, parse_source
from handviz.clip import bundled_clip
from handviz.errors import SourceError
from handviz.hand.library import hand_path
from handviz.pipeline.config import SessionConfig, chosen


def session_config(arguments: argparse.Namespace) -> SessionConfig:
    """Return the configuration that the analysis options ask for. Raises HandvizError as ``said`` does."""
    return replace(SessionConfig(), **said(arguments))


def said(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of a ``SessionConfig`` that the user set; weights alone choose the estimator that runs them.

    Raises HandvizError for an estimator or a hand model that does not exist, and for weights that no estimator runs.
    """
    if arguments.hand_model is not None:
        hand_path(arguments.hand_model)
    named = {
        "max_hands": arguments.max_hands,
        "smoothing": False if arguments.no_smoothing else None,
        "smoothing_strength": arguments.smoothing,
        "device": arguments.device,
        "fov_deg": arguments.fov,
        "intrinsics": arguments.intrinsics,
        "hand_model": arguments.hand_model,
        "hand_scale_m": None if arguments.hand_size is None else arguments.hand_size / 100,
        "refine_iterations": arguments.refine_iterations,
    }
    if arguments.smoothing is not None:
        named["smoothing"] = True
    if arguments.estimator or arguments.weights:
        asked = chosen(arguments.estimator, arguments.weights)
        named |= {name: getattr(asked, name) for name in ("estimator", "groups_weights", "dense_weights")}
    return {name: value for name, value in named.items() if value is not None}


def source_or_clip(text: str | None) -> SourceSpec:
    """Return the source the user named, or the bundled clip. Raises SourceError when there is neither."""
    if text is not None:
        return parse_source(text)
    clip = bundled_clip()
    if clip is None:
        raise SourceError("no source was given and the bundled clip is missing. Name a video, a picture or a folder")
    return SourceSpec(kind="video", path=clip)
