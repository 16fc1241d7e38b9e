"""From a spec to an open source."""

from __future__ import annotations

from handviz.capture.base import CameraChoice, Source, SourceSpec
from handviz.capture.pictures import PicturesSource
from handviz.capture.video import VideoSource
from handviz.capture.webcam import WebcamSource


def open_source(spec: SourceSpec, camera: CameraChoice | None = None) -> Source:
    """Open what the spec names. Raises SourceError that says what to do if it cannot be opened."""
    known = camera or CameraChoice()
    if spec.kind == "camera":
        return WebcamSource(spec, known)
    if spec.kind == "video":
        assert spec.path is not None
        return VideoSource(spec.path, known)
    return PicturesSource(spec, known)
