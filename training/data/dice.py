"""Random draws for a whole batch on its device, from one seeded generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dice:
    """Draws on ``generator``'s device."""

    generator: torch.Generator

    @staticmethod
    def seeded(seed: int, device: torch.device | str = "cpu") -> Dice:
        """Return dice that always give the same draws."""
        return Dice(generator=torch.Generator(device=device).manual_seed(seed))

    @staticmethod
    def on(device: torch.device, generator: torch.Generator) -> Dice:
        """Return dice on a device, seeded by ``generator``, which may be on another."""
        if generator.device == device:
            return Dice(generator=generator)
        seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
        return Dice.seeded(seed, device)

    @property
    def device(self) -> torch.device:
        """The device of the draws."""
        return self.generator.device

    def uniform(self, span: Range, *shape: int) -> Tensor:
        """Return draws between the ends of ``span``."""
        low, high = span
        return low + (high - low) * torch.rand(shape, generator=self.generator, device=self.device)

    def normal(self, sigma: float, *shape: int) -> Tensor:
        """Return draws around zero."""
        return sigma * torch.randn(shape, generator=self.generator, device=self.device)

    def chance(self, probability: float, *shape: int) -> Tensor:
        """Return bools, true with this probability."""
        return torch.rand(shape, generator=self.generator, device=self.device) < probability

    def choice(self, weights: Sequence[float], count: int) -> Tensor:
        """Return ``count`` indices drawn by weight."""
        table = torch.tensor(weights, dtype=torch.float32, device=self.device)
        return torch.multinomial(table, count, replacement=True, generator=self.generator)

    def integer(self, high: int, *shape: int) -> Tensor:
        """Return integers from 0 to ``high`` - 1."""
        return torch.randint(high, shape, generator=self.generator, device=self.device)

    def rotation(self, count: int) -> Tensor:
        """Return rotations (count, 3, 3), uniform over all of them (from uniform unit quaternions)."""
        w, x, y, z = torch.nn.functional.normalize(self.normal(1.0, count, 4), dim=-1).unbind(-1)
        rows = (
            1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
        )  # fmt: skip
        return torch.stack(rows, -1).unflatten(-1, (3, 3))
