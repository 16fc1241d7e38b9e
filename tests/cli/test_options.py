"""What the analysis options mean."""

from __future__ import annotations

import pytest

from handviz.app.settings import RANGES
from handviz.cli.main import build_parser
from handviz.cli.options import said, session_config
from handviz.errors import HandvizError
from handviz.estimate.registry import create_estimator
from handviz.pipeline.config import SessionConfig, chosen


def test_nothing_said_is_the_default_configuration() -> None:
    arguments = build_parser().parse_args(["app"])
    assert said(arguments) == {}
    assert session_config(arguments) == SessionConfig()


def test_a_default_that_is_said_is_said() -> None:
    words = ["app", "--estimator", "auto", "--max-hands", "2", "--fov", "60", "--smoothing", "0.5", "--refine-iterations", "0"]
    assert said(build_parser().parse_args(words)) == {
        "estimator": "auto",
        "max_hands": 2,
        "fov_deg": 60.0,
        "smoothing": True,
        "smoothing_strength": 0.5,
        "refine_iterations": 0,
    }
    assert said(build_parser().parse_args(["app", "--no-smoothing"])) == {"smoothing": False}


@pytest.mark.parametrize("words", [["--estimator", "nope"], ["--estimator", "mediapipe", "--hand-model", "nope"]])
def test_a_name_that_there_is_not_is_refused_before_anything_runs(words: list[str]) -> None:
    with pytest.raises(HandvizError, match="'nope'"):
        said(build_parser().parse_args(["app", *words]))


def test_auto_is_offered_where_it_may_be_chosen_alone() -> None:
    with pytest.raises(HandvizError, match=r"dense, auto$"):
        chosen("nope", None)
    with pytest.raises(HandvizError, match=r"'auto'.*dense$"):
        create_estimator("auto")


@pytest.mark.parametrize(
    ("option", "name", "factor"),
    [
        ("--max-hands", "max_hands", 1),
        ("--fov", "fov_deg", 1),
        ("--hand-size", "hand_scale_m", 100),
        ("--refine-iterations", "refine_iterations", 1),
        ("--smoothing", "smoothing_strength", 1),
    ],
)
def test_what_a_command_takes_the_settings_take(option: str, name: str, factor: float) -> None:
    low, high = (round(factor * limit) for limit in RANGES[name])
    for value in (low, high):
        taken = said(build_parser().parse_args(["app", option, str(value)]))[name]
        assert RANGES[name][0] <= taken <= RANGES[name][1]
    for value in (low - 1, high + 1):
        with pytest.raises(SystemExit):
            build_parser().parse_args(["app", option, str(value)])
