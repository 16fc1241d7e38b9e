"""The contents of a recipe: frozen records with everything that determines a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from handviz.models.dense import DenseConfig
from handviz.models.groups import GroupsConfig
from training.dense.losses import DenseLossWeights
from training.losses import LossWeights


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPart:
    """One data source of a mixture: a name that ``training.data.sources`` knows or a pack folder, and its share of each batch."""

    source: str
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of the training: what learns, for which share of the run, how fast.

    ``hourglass`` is the groups network's hourglass alone, on 2D joints; ``groups`` all of a groups network but its hourglass;
    ``mesh`` all of a dense network but the groups network inside; ``side`` the side head alone.
    """

    learns: Literal["hourglass", "groups", "mesh", "side", "everything"]
    share: float
    batch_size: int
    lr: float
    lr_selector: float = 1e-1
    lr_fusion: float = 1e-2
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_steps: int = 0
    input_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """How the selector's temperature falls: by ``drop_per_1000`` steps as in the paper, or linearly until a share of the run."""

    start: float = 5.0
    drop_per_1000: float | None = 0.1
    ends_at: float = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfAugmentation:
    """New views of the network's own fits (Baek et al. 2019, section 3.5), once a share of the run is done.

    ``seeds`` fits of each batch give ``views`` new hands each; ``per_batch`` of the newest ``keep`` join every batch
    (of each process, under ``torchrun``).
    ``from_share`` stands for the paper's 20 epochs; seeds are taken every ``every`` steps; ``picture_texture`` is how often
    the picture's own colours are used; ``panoramas`` is a folder of backgrounds (None: walls and noise). Shapes are drawn
    uniformly, up to ``shape_within`` standard deviations from the mean.
    """

    from_share: float = 0.3
    every: int = 1
    seeds: int = 4
    views: int = 3
    per_batch: int = 12
    keep: int = 4096
    shape_within: float = 3.0
    picture_texture: float = 0.5
    panoramas: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that determines a training run. ``steps`` is its length; ``--minutes`` sets a time instead.

    ``augmentation`` is ``training.data.augment``'s: ``full``, ``mild`` for the end of a training, ``paper`` (Li et al.'s), or
    ``none``. ``mirrored`` is the share of a batch's hands that are added to it again as left ones, where the network predicts
    a hand's side.
    """

    name: str
    network: GroupsConfig | DenseConfig
    data: tuple[DataPart, ...]
    stages: tuple[Stage, ...]
    steps: int
    loss: LossWeights | DenseLossWeights = field(default_factory=LossWeights)
    temperature: Temperature = field(default_factory=Temperature)
    seed: int = 0
    weight_decay: float = 0.0
    clip_norm: float = 5.0
    ema_decay: float = 0.999
    # In bfloat16, on a GPU or CPU that multiplies it.
    mixed_precision: bool = True
    augmentation: Literal["full", "mild", "paper", "none"] = "full"
    mirrored: float = 0.0
    sync_norm: bool = False
    self_augmentation: SelfAugmentation | None = None
    save_every_s: float = 120.0
    log_every: int = 50
    picture_every: int = 500
