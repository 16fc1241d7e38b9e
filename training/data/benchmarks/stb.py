"""STB, the stereo hand benchmark (Zhang et al. 2016), in its published layout. Left hands; B1 is the test set.

``images/B{1-6}{Counting,Random}/{BB_left,BB_right,SK_color}_{0..1499}.png`` and ``labels/<seq>_{BB,SK}.mat`` with
``handPara`` (3, 21, frames) in mm. One picture of each stereo pair gives Li et al. 2021's 15,000 to train and 3,000 to test.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import numpy as np
import scipy.io
from scipy.io.matlab import MatReadError
from scipy.spatial.transform import Rotation

from handviz.errors import SourceError
from handviz.geometry.camera import Camera, FloatArray, project
from handviz.hand.skeleton import JOINT_INDEX, NUM_JOINTS, WRIST
from training.data.benchmarks.base import SPECS, read_picture
from training.data.benchmarks.orders import STB_ORDER
from training.data.photo_crop import LabelledHand, cut_sample
from training.data.sample import Sample

View = Literal["BB_left", "BB_right", "SK_color"]
VIEWS: Final[dict[str, View]] = {"BB_left": "BB_left", "BB_right": "BB_right", "SK_color": "SK_color"}
TEST_SEQUENCES = ("B1Counting", "B1Random")
TRAIN_SEQUENCES = tuple(f"B{n}{kind}" for n in range(2, 7) for kind in ("Counting", "Random"))

_BASELINE_MM = 120.054
_K_BB: FloatArray = np.array([[822.79041, 0, 318.47345], [0, 822.79041, 250.31296], [0, 0, 1.0]])
_K_SK: FloatArray = np.array([[607.92271, 0, 314.78337], [0, 607.88192, 236.42484], [0, 0, 1.0]])
# Colour camera to depth camera of the SK sensor; labels are in the depth camera's frame.
_SK_TURN: FloatArray = np.array([0.00531, -0.01196, 0.00301])
_SK_MOVE_MM: FloatArray = np.array([-24.0381, -0.4563, -1.2326])


class Stb:
    """A split of STB seen by one of its cameras."""

    name = "stb"

    def __init__(self, folder: Path, split: Literal["training", "evaluation"] = "training", view: View = "BB_left") -> None:
        self._folder, self._view = folder, view
        self._spec = SPECS[split]
        sequences = TRAIN_SEQUENCES if split == "training" else TEST_SEQUENCES
        self._labels = {sequence: read_labels(folder / "labels" / f"{sequence}_{view[:2]}.mat") for sequence in sequences}
        self._index = [(sequence, i) for sequence, labels in self._labels.items() for i in range(labels.shape[2])]

    def __len__(self) -> int:
        return len(self._index)

    def sample(self, index: int) -> Sample:
        """Read one frame."""
        sequence, frame = self._index[index]
        view = self._view
        name = f"{sequence}/{view}_{frame}"
        rgb = read_picture(self._folder / "images" / f"{name}.png")
        joints_m = in_view(self._labels[sequence][:, :, frame].T, view)
        K = _K_SK if view == "SK_color" else _K_BB
        hand = LabelledHand(side="left", joints_px=project(joints_m, K), sigma_px=np.zeros(NUM_JOINTS), joints_m=joints_m)
        camera = Camera(width=rgb.shape[1], height=rgb.shape[0], K=K, source="calibrated")
        return cut_sample(rgb, camera, hand, source=self.name, name=name, split_key=sequence, spec=self._spec)


def read_labels(path: Path) -> FloatArray:
    """Return a sequence's labels (3, 21, frames) in mm as written. Raises SourceError for a missing or damaged file."""
    if not path.is_file():
        raise SourceError(f"{path}: no such file. Check that STB is unpacked here in its published layout.")
    try:
        labels = np.asarray(scipy.io.loadmat(str(path))["handPara"], float)
    except (KeyError, ValueError, TypeError, OSError, NotImplementedError, MatReadError) as error:
        raise SourceError(f"{path}: not a readable label file of STB ({error}). Download it again.") from error
    if labels.ndim != 3 or labels.shape[:2] != (3, NUM_JOINTS):
        raise SourceError(f"{path}: handPara has shape {labels.shape}, not (3, 21, frames). Download it again.")
    return labels


def in_view(labels_mm: FloatArray, view: View) -> FloatArray:
    """Convert labels (21, 3) in STB's order and frame to joints (21, 3) in metres, in our order and a camera's frame.

    The label's first point is the palm's centre. The wrist is put on the line from the ring MCP through it, at twice the
    distance, as a public loader does; another takes the palm as root, so errors at the wrist are not comparable between codes.
    """
    joints = labels_mm[STB_ORDER].astype(float)
    ring = joints[JOINT_INDEX["ring_mcp"]]
    joints[WRIST] = ring + 2.0 * (joints[WRIST] - ring)
    if view == "BB_right":
        joints = joints - np.array([_BASELINE_MM, 0.0, 0.0])
    if view == "SK_color":
        joints = (joints - _SK_MOVE_MM) @ Rotation.from_rotvec(_SK_TURN).as_matrix()
    return np.asarray(joints * 1e-3)
