"""A groups network's outputs for a pack's plain crops."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from handviz.models.groups import GroupsNetwork, GroupsOutput
from training.data.augment import centre_cut
from training.data.pack import Pack
from training.data.sample import Batch

_AT_ONCE = 64


def plain_outputs(network: GroupsNetwork, pack: Pack) -> Iterator[tuple[Batch, GroupsOutput]]:
    """Yield the crops of a pack in batches, cut to the network's input size, with its output."""
    for start in range(0, len(pack), _AT_ONCE):
        rows = np.arange(start, min(start + _AT_ONCE, len(pack)))
        batch = centre_cut(pack.batch(rows), network.config.input_size)
        with torch.inference_mode():
            output = network(batch.rgb_B3SS.contiguous(memory_format=torch.channels_last))
        yield batch, output
