"""The joint selector: which group answers for which joint, learned as a Concrete distribution (Eqs. 4 to 8)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from handviz.hand.skeleton import FINGER_JOINTS, NUM_JOINTS

Grouping = Literal["none", "manual", "learned"]
INITIAL_TEMPERATURE = 5.0
# A temperature of exactly 0 has no gradient; this is the "around 0" that the schedule ends at.
FINAL_TEMPERATURE = 0.05


def manual_groups() -> Tensor:
    """Return the hand-made groups (21,): 0 thumb, 1 index, 2 the other fingers and the wrist (Table 2)."""
    groups_J = torch.full((NUM_JOINTS,), 2)
    groups_J[list(FINGER_JOINTS["thumb"])] = 0
    groups_J[list(FINGER_JOINTS["index"])] = 1
    return groups_J


class JointSelector(nn.Module):
    """A 21 x K selector. Learned: sampled while training, argmax when deployed. Manual and none: fixed."""

    temperature: Tensor

    def __init__(self, grouping: Grouping, groups: int) -> None:
        super().__init__()
        if grouping == "manual" and groups != 3:
            raise ValueError("manual grouping has 3 groups: thumb, index, others")
        if grouping == "none" and groups != 1:
            raise ValueError("no grouping means K = 1")
        logits_JK = torch.zeros(NUM_JOINTS, groups)
        if grouping == "manual":
            logits_JK = 1e4 * nn.functional.one_hot(manual_groups(), groups).float()
        # No prior on the groups: all logits equal, that is 1/K each after the softmax.
        self.logits_JK = nn.Parameter(logits_JK, requires_grad=grouping == "learned")
        self.register_buffer("temperature", torch.tensor(INITIAL_TEMPERATURE))
        self.grouping = grouping

    def probabilities(self) -> Tensor:
        """Return the probability (21, K) that a group answers for a joint; rows sum to 1 (Eq. 7)."""
        return torch.softmax(self.logits_JK.detach().float(), -1)

    def groups(self) -> Tensor:
        """Return the most probable group (21,) of each joint; the first one on ties."""
        return self.logits_JK.detach().argmax(-1)

    def entropy(self) -> Tensor:
        """Return the mean entropy over joints in nats: log K at the start, 0 when decided."""
        return torch.special.entr(self.probabilities()).sum(-1).mean()

    def sample(self) -> Tensor:
        """Return one relaxed selector (21, K) for the whole batch, from the Concrete distribution (Eq. 8)."""
        # Uniform noise kept off 0 and 1, whose logarithms are not finite.
        noise_JK = torch.rand_like(self.logits_JK, dtype=torch.float32).clamp(1e-6, 1 - 1e-6)
        gumbel_JK = -torch.log(-torch.log(noise_JK))
        return torch.softmax((torch.log_softmax(self.logits_JK, -1) + gumbel_JK) / self.temperature, -1)

    def forward(self) -> Tensor:
        """Return the selector (21, K): a sample while a learned one trains, else the one-hot argmax."""
        if self.training and self.grouping == "learned":
            return self.sample()
        return nn.functional.one_hot(self.groups(), self.logits_JK.shape[1]).float()
