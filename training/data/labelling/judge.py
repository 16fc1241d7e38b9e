"""MediaPipe as the labeller: its detector for full pictures and its landmark network for crops."""

from __future__ import annotations

from dataclasses import dataclass

from handviz.detect.mediapipe_detector import MediaPipeDetector
from handviz.estimate.mediapipe import MediaPipeEstimator


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judge:
    """One process's detector and estimator."""

    detector: MediaPipeDetector
    estimator: MediaPipeEstimator


def make_judge() -> Judge:
    """Load MediaPipe's networks. Raises ModelFileError that says what to install when they are not there."""
    return Judge(detector=MediaPipeDetector(max_hands=2), estimator=MediaPipeEstimator(threads=1))
