from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import handviz
from handviz.clip import bundled_clip

README = Path(__file__).resolve().parent.parent / "README.md"


def test_the_example_runs() -> None:
    code = next(block for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL) if "handviz.track" in block)
    seen: list[object] = []

    def few_frames(source: str, **options: object) -> object:
        return islice(track(bundled_clip(), **options), 2)

    track, handviz.track = handviz.track, few_frames  # type: ignore[assignment]
    try:
        exec(compile(code, "README.md", "exec"), {"print": lambda *words: seen.append(words)})
    finally:
        handviz.track = track
    assert len(seen) == 2


def test_every_picture_named_is_there() -> None:
    for name in re.findall(r"!\[.*?\]\((.*?)\)", README.read_text()):
        assert (README.parent / name).is_file(), name
