"""Dense hand pose (Baek, Kim, Kim, CVPR 2019): the parameters of a hand mesh from one crop.

Shape suffixes: B batch, S crop side, N the 63 values of h, J 21 joints, F features.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from handviz.hand.model import HandModel, HandSurface, load_hand_model
from handviz.hand.prior import pose_prior
from handviz.hand.skeleton import NUM_JOINTS, ROOT
from handviz.models.dense_evidence import Evidence, LiveEvidence, PaperEvidence
from handviz.models.dense_vector import POSE, VECTOR_SIZE, DenseParams, decode, joints_only, project_points, to_unit
from handviz.models.groups import GroupsConfig

_J2D = 2 * NUM_JOINTS
_J3D = 3 * NUM_JOINTS

# Most iterations of Eq. 5; the paper has three.
MAX_ROUNDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseConfig:
    """What a dense network is made of; the defaults are the paper's.

    ``evidence`` names the 2D evidence estimator; ``groups`` configures the live one. ``hidden`` are the widths of hidden
    layers in f_J3D (the paper has none: one linear layer); ``iterations`` of Eq. 5; ``refiner`` says whether f_Ref improves the
    2D joints between them. ``skeleton`` chooses the joints that f_Ref sees and the losses compare: the linear regressor on
    the mesh as in the paper, or the joints of the kinematic chain, which benchmarks label. ``mask`` adds a mask head to the
    live estimator (not in the paper).
    """

    input_size: int = 224
    evidence: Literal["paper", "live"] = "paper"
    groups: GroupsConfig | None = None
    hidden: tuple[int, ...] = ()
    iterations: int = 3
    refiner: bool = True
    skeleton: Literal["regressor", "chain"] = "regressor"
    mask: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.iterations <= MAX_ROUNDS:
            raise ValueError(f"iterations must lie in 1 to {MAX_ROUNDS}, not {self.iterations}")
        if self.evidence == "live" and (self.groups is None or self.groups.input_size != self.input_size):
            raise ValueError(f"the live evidence needs a groups network for crops of {self.input_size} pixels")
        if self.evidence == "paper" and (self.mask or self.groups is not None):
            raise ValueError("the paper's evidence estimator has neither a mask head nor groups")


def dense_paper_config() -> DenseConfig:
    """Return the paper's network: 224 x 224, ResNet-50, one linear layer, three iterations."""
    return DenseConfig()


def dense_live_config(groups: GroupsConfig) -> DenseConfig:
    """Return the network for two CPU cores, whose evidence is this groups network."""
    return DenseConfig(
        input_size=groups.input_size, evidence="live", groups=groups, hidden=(512, 256), skeleton="chain", mask=True
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenseOutput:
    """The evidence, and the answer after each iteration.

    ``h_TBN`` (T, B, 63) and ``joints_unit_TBJ2`` (T, B, 21, 2), the refined 2D joints in crop sides from the centre, after each
    iteration; ``params`` and ``surface`` (metres, crop camera) and ``joints_BJ3`` by the configured skeleton, after the last.
    """

    evidence: Evidence
    h_TBN: Tensor
    joints_unit_TBJ2: Tensor
    params: DenseParams
    surface: HandSurface
    joints_BJ3: Tensor

    @property
    def h_BN(self) -> Tensor:
        """The last h (B, 63)."""
        return self.h_TBN[-1]

    @property
    def refined_BJ2(self) -> Tensor:
        """The last refined 2D joints (B, 21, 2), in crop sides from the centre."""
        return self.joints_unit_TBJ2[-1]


class DenseNetwork(nn.Module):
    """f_HME = f_E3D of f_E2D, with f_Reg inside. Rendering (f_Ren) belongs to the losses and the testing refinement.

    The numbers refer to the hand it was trained with, which is not part of the weights: another hand changes the surface.
    """

    mean_pose: Tensor

    def __init__(self, config: DenseConfig, hand: HandModel | None = None) -> None:
        super().__init__()
        self.config = config
        self._hand = hand or load_hand_model()
        self._joints = joints_only(self._hand)
        self.evidence: PaperEvidence | LiveEvidence = (
            PaperEvidence() if config.groups is None else LiveEvidence(config.groups, config.mask)
        )
        features = self.evidence.features
        self.J3D = _layers((features + _J2D + VECTOR_SIZE, *config.hidden, VECTOR_SIZE))
        self.Ref = nn.Linear(features + _J2D + VECTOR_SIZE + _J3D, _J2D) if config.refiner else None
        self.register_buffer("mean_pose", torch.from_numpy(pose_prior().mean).float())
        self._start_small()

    def _start_small(self) -> None:
        # The first answer is then the mean hand, and the first refined joints are the evidence's.
        for layer in (self.J3D[-1], self.Ref):
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=1e-3)
                nn.init.zeros_(layer.bias)

    @property
    def hand(self) -> HandModel:
        """The hand whose surface it returns, on the network's device."""
        if self._hand.device != self.mean_pose.device:
            self._hand = self._hand.to(device=self.mean_pose.device)
            self._joints = joints_only(self._hand)
        return self._hand

    def forward(self, rgb_B3SS: Tensor, K_B33: Tensor) -> DenseOutput:
        """Return the mesh of crops in [0, 1] seen by cameras K."""
        return self.regress(self.evidence(rgb_B3SS), K_B33)

    def regress(self, evidence: Evidence, K_B33: Tensor) -> DenseOutput:
        """Return the mesh from 2D evidence: h += f_J3D and 2D joints from f_Ref, in turn (Eqs. 5 and 6)."""
        # The hand model needs float32 to be exact to a tenth of a millimetre.
        with torch.autocast(evidence.feature_BF.device.type, enabled=False):
            return self._iterate(evidence, K_B33.float())

    def _iterate(self, evidence: Evidence, K_B33: Tensor) -> DenseOutput:
        size, feature = self.config.input_size, evidence.feature_BF.float()
        # No gradient goes from the mesh into the 2D joints: arg-max has none, and f_J2D is trained by its own loss.
        j2d = to_unit(evidence.joints_px_BJ2.detach(), size).flatten(1)
        h = self.start(len(feature))
        # Read first: it moves both hands to the network's device.
        hand, joints_alone = self.hand, self._joints
        all_h, all_j2d = [], []
        for step in range(self.config.iterations):
            h = h + self.J3D(torch.cat([feature, j2d, h], 1))
            whole = step == self.config.iterations - 1 or self.config.skeleton == "regressor"
            params, surface = decode(h, K_B33, size, hand if whole else joints_alone)
            joints = self.skeleton(surface)
            j2d = self.refine_joints(j2d, feature, h, joints)
            all_h.append(h)
            all_j2d.append(j2d.unflatten(1, (NUM_JOINTS, 2)))
        return DenseOutput(
            evidence=evidence,
            h_TBN=torch.stack(all_h),
            joints_unit_TBJ2=torch.stack(all_j2d),
            params=params,
            surface=surface,
            joints_BJ3=joints,
        )

    def start(self, batch: int) -> Tensor:
        """Return h(0): zeros but for the mean pose."""
        h = self.mean_pose.new_zeros(batch, VECTOR_SIZE)
        h[:, POSE] = self.mean_pose
        return h

    def refine_joints(self, j2d_BD: Tensor, feature_BF: Tensor, h_BN: Tensor, joints_BJ3: Tensor) -> Tensor:
        """Return refined 2D joints (B, 42): f_Ref sees them, F(x), h and the mesh's skeleton (Eq. 6).

        f_Ref returns a correction, which for one linear layer is the same family of maps as the paper's.
        """
        if self.Ref is None:
            return j2d_BD
        skeleton = ((joints_BJ3 - joints_BJ3[:, ROOT : ROOT + 1]) * 10).flatten(1)
        # The mesh learns from L_Ref through h, as in the paper: gradients pass.
        return j2d_BD + self.Ref(torch.cat([j2d_BD, feature_BF, h_BN, skeleton], 1))

    def skeleton(self, surface: HandSurface, hand: HandModel | None = None) -> Tensor:
        """Return f_Reg's joints (B, 21, 3) of a placed hand, by default the one that the network was made with."""
        if self.config.skeleton == "chain":
            return surface.joints_BJ3
        return (hand or self.hand).skeleton_regressor_JV @ surface.vertices_BV3

    def project(self, joints_BJ3: Tensor, K_B33: Tensor) -> Tensor:
        """Return joints as seen by the crop's camera (B, J, 2), in crop sides from the centre."""
        return to_unit(project_points(joints_BJ3, K_B33), self.config.input_size)


def _layers(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        layers.append(nn.Linear(inputs, outputs))
        if i + 2 < len(widths):
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)
