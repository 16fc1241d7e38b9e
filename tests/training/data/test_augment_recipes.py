"""What each augmentation does beyond moving labels along: colours, rotations, edges and patches."""

from __future__ import annotations

import dataclasses
import math
from functools import lru_cache

import numpy as np
import pytest
import torch

from handviz.hand.skeleton import MIDDLE_MCP, WRIST
from tests.training.data.hands import SIZE, hand_sample
from training.data.augment import MILD, PAPER, Augmentation, augment
from training.data.augment_colour import ColourJitter, jitter_colours
from training.data.dice import Dice
from training.data.pack import pack_of
from training.fit import preparation
from training.recipes.named import groups_live

COUNT = 256
SKIN = np.array([200, 150, 120], np.uint8)
LUMINANCE = torch.tensor([0.299, 0.587, 0.114])
# Colours as they are.
PLAIN = ColourJitter(
    hue=0.0,
    saturation=(1.0, 1.0),
    brightness=(1.0, 1.0),
    contrast=(1.0, 1.0),
    channel_sigma=0.0,
    grey_chance=0.0,
    blur_chance=0.0,
    coarse_chance=0.0,
    noise_chance=0.0,
)


@lru_cache(1)
def hands():
    """The same hand many times, its picture of one colour."""
    sample = hand_sample(rgb=np.full((SIZE, SIZE, 3), SKIN))
    return pack_of([sample]).batch(np.zeros(COUNT, int))


@lru_cache(8)
def prepared(way: str):
    recipe = dataclasses.replace(groups_live(), augmentation=way)
    return preparation(recipe)(hands(), torch.Generator().manual_seed(0), 32)


def turns_deg(way: str) -> torch.Tensor:
    """Return by how much each palm is turned against the plain cut's."""
    palms = [b.joints_px_BJ2[:, MIDDLE_MCP] - b.joints_px_BJ2[:, WRIST] for b in (prepared(way), prepared("none"))]
    angle, plain = (torch.rad2deg(torch.atan2(p[:, 1], p[:, 0])) for p in palms)
    return (angle - plain + 180) % 360 - 180


def sizes(way: str) -> torch.Tensor:
    """Return how much larger than in the plain cut each palm is."""
    palms = [(b.joints_px_BJ2[:, MIDDLE_MCP] - b.joints_px_BJ2[:, WRIST]).norm(dim=-1) for b in (prepared(way), prepared("none"))]
    return palms[0] / palms[1]


def test_without_augmentation_the_picture_keeps_its_colours_and_its_place() -> None:
    expected = torch.from_numpy(SKIN).float()[None, :, None, None] / 255
    torch.testing.assert_close(prepared("none").rgb_B3SS, expected.expand(COUNT, 3, 32, 32))
    assert float(prepared("none").joints_px_BJ2.std(0).max()) == 0


def test_the_papers_colours_differ_in_hue_alone() -> None:
    rgb = prepared("paper").rgb_B3SS
    torch.testing.assert_close(rgb, rgb[:, :, :1, :1].expand_as(rgb))
    colours = rgb[:, :, 0, 0]
    assert float(colours.std(0).min()) > 0.01
    luminance = float(torch.from_numpy(SKIN).float() @ LUMINANCE) / 255
    torch.testing.assert_close(colours @ LUMINANCE, torch.full((COUNT,), luminance), atol=2e-3, rtol=0)


def test_live_colours_differ_in_light_too_and_less_for_the_end_of_a_training() -> None:
    spread = {way: float((prepared(way).rgb_B3SS.median(-1)[0].median(-1)[0] @ LUMINANCE).std()) for way in ("full", "mild")}
    assert 0.03 < spread["mild"] < 0.8 * spread["full"]


def test_the_papers_hands_are_turned_all_the_way_round() -> None:
    eighths = torch.histc(turns_deg("paper"), 8, -180, 180)
    assert float(eighths.min()) > COUNT / 16


@pytest.mark.parametrize(("way", "sigma", "anyhow"), [("mild", 9.0, 0.04), ("full", 14.0, 0.12)])
def test_live_hands_stay_nearly_upright(way, sigma, anyhow) -> None:
    turns = turns_deg(way)
    far = turns.abs() > 5 * sigma
    assert 0 < float(far.float().mean()) < 1.6 * anyhow
    assert float(turns[~far].std()) == pytest.approx(sigma, rel=0.25)
    assert abs(float(turns[~far].mean())) < 0.25 * sigma


def test_sizes_are_those_of_the_recipe() -> None:
    """A window narrower by a factor shows the hand larger by it; a hand aimed off-centre is seen a little askew."""
    for way, (low, high) in (("paper", (1.0, 1.2)), ("mild", (1 / 1.16, 1 / 0.87)), ("full", (1 / 1.3, 1 / 0.78))):
        found = sizes(way)
        assert low - 0.03 < float(found.min()) < low + 0.05 and high - 0.05 < float(found.max()) < high + 0.04, way


def test_the_papers_shifts_end_at_20_of_256_pixels() -> None:
    middle = torch.full((2,), (SIZE - 1) / 2)
    still = dataclasses.replace(PAPER, crop=dataclasses.replace(PAPER.crop, scale=(1.0, 1.0), any_roll_chance=0.0))
    centred = dataclasses.replace(hands(), joints_px_BJ2=middle.expand(COUNT, 21, 2))
    moved = augment(centred, torch.Generator().manual_seed(0), 64, still).joints_px_BJ2[:, 0] - 31.5
    # Of 64 pixels these are 5.
    assert 4.6 < float(moved.max()) < 5.1 and -5.1 < float(moved.min()) < -4.6


def covered(config: Augmentation) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which pixels (B, S, S) of pictures of one colour are black, and which are of a third colour."""
    config = dataclasses.replace(config, colour=PLAIN)
    rgb = augment(hands(), torch.Generator().manual_seed(0), 32, config).rgb_B3SS
    black = (rgb == 0).all(1)
    skin = (rgb - torch.from_numpy(SKIN).float()[:, None, None] / 255).abs().amax(1) < 1e-3
    return black, ~(black | skin)


@pytest.mark.parametrize(
    ("config", "edges", "patches"),
    [(Augmentation(), 0.12, 0.15), (MILD, 0.12, 0.05), (PAPER, 0.0, 0.0)],
    ids=["full", "mild", "paper"],
)
def test_edges_and_patches_are_as_frequent_as_the_recipe_says(config, edges, patches) -> None:
    black, other = covered(config)
    # Some lines leave no pixel of the crop beyond them.
    assert 0.6 * edges <= float(black.any(-1).any(-1).float().mean()) <= 1.5 * edges
    assert 0.5 * patches <= float(other.any(-1).any(-1).float().mean()) <= 1.5 * patches


def test_an_edge_is_black_beyond_a_line_and_hides_never_the_middle() -> None:
    always = dataclasses.replace(Augmentation(), crop=dataclasses.replace(Augmentation().crop, edge_chance=1.0, patch_chance=0.0))
    black, other = covered(always)
    assert not bool(other.any()) and not bool(black[:, 14:18, 14:18].any())
    share = black.float().mean((1, 2))
    assert float((share > 0).float().mean()) > 0.9 and 0.05 < float(share.mean()) < 0.4
    # At the border, where it begins.
    assert bool((black[share > 0].flatten(1).any(1) == edge_of(black[share > 0]).any(1)).all())


def edge_of(pixels: torch.Tensor) -> torch.Tensor:
    return torch.cat([pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]], 1)


def test_a_patch_is_a_flat_rectangle_over_a_part_of_the_crop() -> None:
    always = dataclasses.replace(Augmentation(), crop=dataclasses.replace(Augmentation().crop, edge_chance=0.0, patch_chance=1.0))
    black, other = covered(always)
    assert not bool(black.any()) and float(other.any(-1).any(-1).float().mean()) > 0.95
    rows, columns = other.any(2), other.any(1)
    assert torch.equal(other, rows[:, :, None] & columns[:, None, :])
    # Half sides of 3 to 13 hundredths.
    assert float(rows.float().mean()) == pytest.approx(0.16, abs=0.03) and int(rows.sum(1).max()) <= 9


def seen(colour: tuple[float, float, float], **changes) -> torch.Tensor:
    """Return the colours (64, 3) that jitter makes of one."""
    rgb = torch.tensor(colour)[None, :, None, None].expand(64, 3, 2, 2)
    return jitter_colours(rgb, Dice.seeded(0), dataclasses.replace(PLAIN, **changes))[:, :, 0, 0]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (0.8, 0.4, 0.2)),
        # Its luminance is 0.299 * 0.8 + 0.587 * 0.4 + 0.114 * 0.2.
        ({"saturation": (0.0, 0.0)}, (0.4968, 0.4968, 0.4968)),
        ({"grey_chance": 1.0}, (0.4968, 0.4968, 0.4968)),
        ({"saturation": (0.5, 0.5)}, (0.6484, 0.4484, 0.3484)),
        ({"brightness": (1.2, 1.2)}, (0.96, 0.48, 0.24)),
        ({"contrast": (0.5, 0.5)}, (0.65, 0.45, 0.35)),
        ({"brightness": (2.0, 2.0)}, (1.0, 0.8, 0.4)),
    ],
)
def test_a_known_colour_becomes_a_known_colour(changes, expected) -> None:
    torch.testing.assert_close(seen((0.8, 0.4, 0.2), **changes), torch.tensor(expected).expand(64, 3), atol=1e-4, rtol=0)


def test_a_tenth_of_a_turn_of_hue_goes_both_ways_and_no_further() -> None:
    grey, colours = seen((0.5, 0.5, 0.5), hue=0.1), seen((0.6, 0.5, 0.4), hue=0.1)
    torch.testing.assert_close(grey, torch.full((64, 3), 0.5), atol=1e-4, rtol=0)
    yiq = colours @ torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]]).T
    start = torch.tensor([0.299 * 0.6 + 0.587 * 0.5 + 0.114 * 0.4, 0.596 * 0.6 - 0.274 * 0.5 - 0.322 * 0.4])
    torch.testing.assert_close(yiq[:, 0], start[0].expand(64), atol=1e-4, rtol=0)
    at = math.atan2(0.211 * 0.6 - 0.523 * 0.5 + 0.312 * 0.4, float(start[1]))
    turned = torch.rad2deg(torch.atan2(yiq[:, 2], yiq[:, 1]) - at)
    assert 30 < float(turned.max()) < 36.1 and -36.1 < float(turned.min()) < -30


def test_a_blurred_dot_is_a_gaussian_of_the_sigma_asked_for_and_noise_has_its_own() -> None:
    dot = torch.zeros(1, 3, 15, 15)
    dot[:, :, 7, 7] = 1.0
    soft = jitter_colours(dot, Dice.seeded(0), dataclasses.replace(PLAIN, blur_chance=1.0, blur=(1.0, 1.0)))[0, 0]
    assert float(soft.sum()) == pytest.approx(1, abs=1e-3)
    assert float(soft[7, 7]) == pytest.approx(1 / (2 * math.pi), rel=0.01)
    assert float(soft[7, 8] / soft[7, 7]) == pytest.approx(math.exp(-0.5)) == float(soft[8, 7] / soft[7, 7])
    grey = torch.full((2, 3, 64, 64), 0.5)
    noisy = jitter_colours(grey, Dice.seeded(0), dataclasses.replace(PLAIN, noise_chance=1.0, noise=(0.02, 0.02)))
    assert float(noisy.std()) == pytest.approx(0.02, rel=0.05) and float(noisy.mean()) == pytest.approx(0.5, abs=1e-3)
