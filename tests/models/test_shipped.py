"""The weights that come with the package: intact, with a card, small enough, and with exports of these very weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from handviz.models.checkpoint import load_groups
from handviz.models.compiled import EIGHT_BITS, SUFFIX, CompiledNetwork, checksum
from handviz.models.groups_facts import read_facts
from handviz.models.weights_files import DEFAULT_NAMES, DENSE_KIND, GROUPS_KIND, WEIGHTS_SUFFIX, known_weights, shipped_folder

MOST_BYTES = 16 * 2**20
SHIPPED = sorted(shipped_folder().glob(f"*{WEIGHTS_SUFFIX}"))
GROUPS = [path for path in SHIPPED if path.name.startswith("groups")]


def called(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("weights", SHIPPED, ids=called)
def test_has_a_card_that_names_data_and_numbers(weights: Path) -> None:
    card = weights.with_suffix(".md").read_text()
    assert all(word in card for word in (weights.stem, "**Use**", "**Data**", "**Recipe**", "**Numbers**", "**Weak at**"))


@pytest.mark.parametrize("file", [p for p in shipped_folder().iterdir() if p.suffix in (WEIGHTS_SUFFIX, SUFFIX)], ids=called)
def test_no_file_is_too_large(file: Path) -> None:
    assert file.stat().st_size <= MOST_BYTES


@pytest.mark.parametrize("export", sorted(shipped_folder().glob(f"*{SUFFIX}")), ids=called)
def test_exports_are_of_these_weights(export: Path) -> None:
    weights = export.with_name(export.name.removesuffix(SUFFIX).removesuffix(EIGHT_BITS) + WEIGHTS_SUFFIX)
    assert CompiledNetwork(export).source == checksum(weights)


@pytest.mark.parametrize("weights", SHIPPED, ids=called)
def test_has_an_export(weights: Path) -> None:
    assert weights.with_suffix(SUFFIX).is_file()
    assert weights.name.startswith("groups") or weights.with_suffix(EIGHT_BITS + SUFFIX).is_file()


@pytest.mark.parametrize("weights", GROUPS, ids=called)
def test_an_export_says_what_the_weights_say(weights: Path) -> None:
    network, notes = load_groups(weights)
    rgb = np.random.default_rng(0).random((1, 3, network.config.input_size, network.config.input_size), np.float32)
    with torch.no_grad():
        out = network(torch.from_numpy(rgb))
    uv, depth, heat, *_ = CompiledNetwork(weights.with_suffix(SUFFIX)).answers(rgb)
    np.testing.assert_allclose(uv, out.uv_BJ2, atol=0.1)
    np.testing.assert_allclose(depth, out.depth_BJ, atol=0.02)
    np.testing.assert_allclose(heat, out.heat_BJHW, atol=0.01)
    assert "calibration" in notes and read_facts(weights).groups_J.tolist() == network.selector.groups().tolist()


@pytest.mark.parametrize("kind", [GROUPS_KIND, DENSE_KIND])
def test_the_default_is_there_and_comes_first(kind: str) -> None:
    assert known_weights(kind)[0].path == shipped_folder() / DEFAULT_NAMES[kind]


def test_groups_networks_of_several_sizes_are_there_to_choose_from() -> None:
    sizes = [file.groups for file in known_weights(GROUPS_KIND) if file.path.parent == shipped_folder()]
    assert len(set(sizes)) >= 2
