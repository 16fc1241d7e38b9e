from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from handviz.errors import HandvizError
from handviz.pipeline import estimators, step
from handviz.pipeline.stills import StillLooker


def _load_fakes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pipeline_fakes", Path(__file__).with_name("fakes.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["pipeline_fakes"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The pipeline with a detector and an estimator that see a bright patch as a hand."""
    module = _load_fakes()

    def create(name: str, options: object) -> object:
        if name == "unknown":
            raise HandvizError("unknown estimator 'unknown'. Choose one of: fake")
        return module.FakeEstimator()

    monkeypatch.setattr(step, "MediaPipeDetector", module.FakeDetector)
    monkeypatch.setattr(estimators, "create_estimator", create)
    return module


@pytest.fixture
def blind_detector(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that sees no hand, however it looks."""
    for way in ("detect_thoroughly", "detect_eagerly", "detect_in_parts"):
        monkeypatch.setattr(fakes.FakeDetector, way, lambda self, rgb: [])


@pytest.fixture
def detector_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is found in a picture where the detector sees nothing."""
    for way in ("_scanned", "_searched"):
        monkeypatch.setattr(StillLooker, way, lambda self: [])
