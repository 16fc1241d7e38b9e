"""What the options of ``training export`` change in the files it writes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import training.export
import training.quantize
from handviz.hand.skeleton import MIDDLE_MCP, WRIST
from handviz.models import compiled
from handviz.models.checkpoint import load_groups
from handviz.models.compiled import checksum, compiled_for
from handviz.models.confidence import Calibration, calibration_from
from handviz.models.dense import DenseNetwork
from handviz.models.dense_checkpoint import load_dense, save_dense
from handviz.models.weights_files import DENSE_KIND, GROUPS_KIND, kind_of
from tests.training.dense.dots import CONFIG, posed_pack
from training.cli import main
from training.data.pack import write_pack


@pytest.fixture
def dense(tmp_path) -> DenseNetwork:
    """A dense run, whose network is returned, and a pack of hands."""
    network = DenseNetwork(CONFIG).eval()
    (tmp_path / "run").mkdir()
    save_dense(tmp_path / "run" / "weights.safetensors", network, {"steps": "7"})
    write_pack(posed_pack(8), tmp_path / "hands.safetensors")
    return network


def test_a_groups_network_leaves_a_dense_run_calibrated_and_on_eight_bits(dense, tmp_path, monkeypatch) -> None:
    # Of 96 crops, each would be run several times.
    monkeypatch.setattr(training.quantize, "CROPS", 4)
    monkeypatch.setattr(compiled, "multiplies_bytes", lambda: True)
    # An untrained network is right nowhere else.
    monkeypatch.setattr(training.export, "RIGHT_PALMS", 0.9)
    out, pack = tmp_path / "out" / "groups.safetensors", str(tmp_path / "hands.safetensors")
    words = ["export", str(tmp_path / "run"), str(out), "--groups", "--calibrate", pack, "--quantize", pack]
    assert main(words) == 0
    assert kind_of(out) == GROUPS_KIND
    network, notes = load_groups(out)
    inside = dense.evidence.groups.state_dict()
    assert all(torch.equal(inside[name], tensor) for name, tensor in network.state_dict().items())
    # Pictures are stored with small losses.
    fitted = training.export.calibrate(network, posed_pack(8))
    assert notes["steps"] == "7" and fitted.offset != pytest.approx(Calibration().offset, rel=0.1)
    assert calibration_from(notes).offset == pytest.approx(fitted.offset, rel=0.01)
    exact, rounded = (compiled_for(out, eight_bits=bits) for bits in (False, True))
    assert exact is not None and rounded is not None and rounded.source == checksum(out)
    crop = posed_pack(8).rgb_NSS3[:1].transpose(0, 3, 1, 2).astype(np.float32) / 255
    gaps = [np.abs(a - b).max() for a, b in zip(exact.answers(crop), rounded.answers(crop), strict=True)]
    assert max(gaps) > 1e-3, f"nothing was rounded: {gaps}"


def test_without_options_a_dense_run_is_exported_whole_and_as_sure_as_before(dense, tmp_path, monkeypatch) -> None:
    # What it writes for CPUs is tested elsewhere, and slow.
    monkeypatch.setattr(training.export, "write_compiled", lambda out: out)
    out = tmp_path / "out" / "dense.safetensors"
    assert main(["export", str(tmp_path / "run"), str(out)]) == 0
    assert kind_of(out) == DENSE_KIND and calibration_from(load_dense(out)[1]) == Calibration()
    assert not list(out.parent.glob(f"*{compiled.SUFFIX}"))


def test_a_joint_is_right_within_a_fifth_of_the_palm(monkeypatch) -> None:
    """With a palm of 50 pixels, 9 pixels off is right, 11 wrong, and an unlabelled joint is neither."""
    truth = torch.zeros(2, 21, 2)
    truth[:, MIDDLE_MCP, 1], truth[:, WRIST, 1] = 10.0, 60.0
    found, valid = truth.clone(), torch.zeros(2, 21, dtype=torch.bool)
    found[0, 4, 0], found[0, 8, 0], found[1, 4, 0] = 9.0, 11.0, 12.0
    valid[0, 4] = valid[0, 8] = valid[1, 4] = True
    # One cell, or two that are four apart: a spread of none, or of two cells, 8 pixels of 128.
    heat = torch.zeros(2, 21, 32, 32)
    heat[:, :, 5, 7] = 1.0
    heat[0, 8, 5, 7] = heat[0, 8, 5, 11] = 0.5
    out = SimpleNamespace(uv_BJ2=found, heat_BJHW=heat)
    batch = SimpleNamespace(joints_px_BJ2=truth, valid_BJ=valid)
    monkeypatch.setattr(training.export, "plain_outputs", lambda network, pack: [(batch, out)])
    seen = {}

    def fit(spread, right) -> Calibration:
        seen.update(spread=spread, right=right)
        return Calibration(offset=1.0, slope=2.0)

    monkeypatch.setattr(training.export, "fit_calibration", fit)
    assert training.export.calibrate(None, posed_pack(2)) == Calibration(offset=1.0, slope=2.0)
    np.testing.assert_allclose(seen["spread"], [0.0, 8.0, 0.0], atol=1e-4)
    assert seen["right"].tolist() == [True, False, False]
