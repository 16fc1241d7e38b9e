"""Camera faults: blur, coarse pixels, streaks, JPEG."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch

from training.data.synth.batched.faults import apply_faults, draw_faults, noise_sheet
from training.data.synth.batched.filters import coarse, filtered, gaussian, streaked
from training.data.synth.batched.jpeg import through_jpeg
from training.data.synth.recipe import CameraRecipe


def photo():
    rng = np.random.default_rng(0)
    picture = sum(
        cv2.resize(rng.normal(0, 40, (n, n, 3)).astype(np.float32), (160, 160), interpolation=cv2.INTER_CUBIC)
        for n in (5, 20, 60)
    )
    return np.clip(picture + 128, 0, 255).astype(np.uint8)


def as_batch(picture):
    return torch.from_numpy(np.ascontiguousarray(picture)).float().permute(2, 0, 1)[None].repeat(2, 1, 1, 1)


def as_picture(batch, i):
    return batch[i].permute(1, 2, 0).numpy()


def test_blur_and_coarse_pixels_are_those_of_the_cpu_path():
    picture = photo().astype(np.float32)
    blurred = filtered(as_batch(picture), gaussian(torch.tensor([0.7, 3.0]), 160))
    for i, sigma in enumerate((0.7, 3.0)):
        assert np.abs(as_picture(blurred, i) - cv2.GaussianBlur(picture, (0, 0), sigma)).max() < 0.5
    shrunk = filtered(as_batch(picture), coarse(torch.tensor([1.5, 3.3]), 160))
    for i, factor in enumerate((1.5, 3.3)):
        small = cv2.resize(picture, (round(160 / factor),) * 2, interpolation=cv2.INTER_AREA)
        assert np.abs(as_picture(shrunk, i) - cv2.resize(small, (160, 160), interpolation=cv2.INTER_LINEAR)).max() < 0.5


def test_a_streak_spreads_a_dot_along_its_line():
    dot = torch.zeros(2, 3, 33, 33)
    dot[:, :, 16, 16] = 1.0
    out = streaked(dot, torch.tensor([8.0, 8.0]), torch.tensor([0.0, torch.pi / 2]))
    steps = torch.arange(33.0) - 16
    for i, axis in enumerate((1, 0)):
        along, across = out[i, 0].sum(1 - axis), out[i, 0].sum(axis)
        assert float((along * steps.square()).sum()) == pytest.approx(64 / 12, rel=0.25)
        assert float((across * steps.square()).sum()) < 0.05
        assert float(along.sum()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("quality", [25, 60, 90])
def test_jpeg_loses_what_a_file_loses(quality):
    picture = photo()
    coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    expected = cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1].astype(int)
    ours = as_picture(through_jpeg(as_batch(picture), torch.tensor([quality, quality])), 0).astype(int)
    lost = np.abs(expected - picture.astype(int)).mean()
    assert np.abs(ours - expected).mean() < 0.25 * lost
    with pytest.raises(ValueError, match="multiple of 16"):
        through_jpeg(torch.zeros(1, 3, 40, 40), torch.tensor([50]))


def test_no_faults_leave_a_picture_and_each_fault_changes_it():
    clean = torch.from_numpy(photo())[None].repeat(4, 1, 1, 1)
    rng = np.random.default_rng(0)
    sheet = noise_sheet(rng)
    none = {f.name: 0.0 for f in dataclasses.fields(CameraRecipe) if f.name.endswith("_chance")}
    still = CameraRecipe(**none, white_balance_sigma=0.0, gamma=(1.0, 1.0), contrast=(1.0, 1.0))
    plain = clean.permute(0, 3, 1, 2)
    assert torch.equal(apply_faults(clean, draw_faults(rng, still, 4, 160), sheet), plain)
    for name in none:
        faults = draw_faults(rng, dataclasses.replace(still, **{name: 1.0}), 4, 160)
        apart = (apply_faults(clean, faults, sheet).int() - plain.int()).abs().float()
        assert 0.1 < float(apart.mean()) < 100
