from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import pytest

import handviz
from handviz.clip import bundled_clip

ROOT = Path(__file__).resolve().parent.parent
README, RESULTS = ROOT / "README.md", ROOT / "training" / "RESULTS.md"


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_the_example_runs() -> None:
    code = next(block for block in re.findall(r"```python\n(.*?)```", text_of(README), re.DOTALL) if "handviz.track" in block)
    seen: list[object] = []

    def few_frames(source: str, **options: object) -> object:
        return islice(track(bundled_clip(), **options), 2)

    track, handviz.track = handviz.track, few_frames  # type: ignore[assignment]
    try:
        exec(compile(code, "README.md", "exec"), {"print": lambda *words: seen.append(words)})
    finally:
        handviz.track = track
    assert len(seen) == 2


@pytest.mark.parametrize("page", [README, *sorted(ROOT.glob("training/**/*.md"))], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_picture_named_is_there(page: Path) -> None:
    for name in re.findall(r"!\[.*?\]\((.*?)\)", text_of(page)):
        assert (page.parent / name).is_file(), name


def test_every_file_named_in_the_results_is_there() -> None:
    named = re.findall(r"`(?:python )?((?:scripts|training|handviz)/[\w/.-]+)", text_of(README) + text_of(RESULTS))
    assert named and [name for name in named if not (ROOT / name).exists() and not (ROOT / "handviz" / name).exists()] == []
