"""Several processes, and GPUs that are not here."""

from __future__ import annotations

import pytest
import torch

from handviz.errors import HandvizError
from training.distributed import join_world
from training.optim import mixes_precision


def test_more_processes_than_gpus_are_told(monkeypatch):
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(HandvizError, match=r"process 2 on this machine has no GPU of its own \(GPUs: 1\)"), join_world("cuda"):
        pass


@pytest.mark.parametrize(("capability", "mixes"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_gpus_mix_precision_where_they_multiply_bfloat16(monkeypatch, capability, mixes):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert mixes_precision(torch.device("cuda", 0)) is mixes
