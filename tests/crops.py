"""Where points of the full camera's frame lie in a crop."""

from __future__ import annotations

from handviz.geometry.camera import FloatArray, project
from handviz.records import HandCrop


def project_to_crop(points_camera_m: FloatArray, crop: HandCrop) -> FloatArray:
    """Project points of the full camera's frame (..., 3) to crop pixels."""
    return project(points_camera_m @ crop.Q_crop_from_camera.T, crop.K_crop)
