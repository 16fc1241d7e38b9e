"""Dexter+Object (Sridhar et al. 2016) in its published layout: six sequences of left hands, fingertips only, all for testing.

``data/<seq>/color`` holds the pictures in order (``Color_0001.bmp`` on), ``data/<seq>/annotations/<seq>3D.txt`` one row per
frame: five ``x, y, z;`` in mm, thumb to little, in the depth camera's frame with x and y negated; z = 32001 marks a missing tip.
A tip behind the camera or further away than 2 m counts as missing, too. Tips show neither the hand's size nor where its palm is:
a crop is centred on the tips, and its side is that of a typical hand at their depth.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from handviz.errors import SourceError
from handviz.geometry.camera import Camera, FloatArray, project
from handviz.hand.skeleton import FINGERTIPS, NUM_JOINTS
from training.data.benchmarks.base import EVALUATION_SPEC, read_picture
from training.data.photo_crop import LabelledHand, TooFewJointsError, cut_sample
from training.data.sample import Sample

SEQUENCES = ("Grasp1", "Grasp2", "Occlusion", "Rigid", "Pinch", "Rotate")
_FURTHEST_MM = 2000.0
_K_COLOUR: FloatArray = np.array([[587.45209, 0, 325.0], [0, 600.67456, 249.0], [0, 0, 1.0]])
_COLOUR_FROM_DEPTH: FloatArray = np.array(
    [[0.9999, 0.0034, 0.0161, 19.0473], [-0.0033, 1.0, -0.0079, -1.8514], [-0.0162, 0.0079, 0.9998, -4.7501]]
)
# With 0.147 m, a network's window (1.5 times the extent) is as wide as around all joints, in the median of test-webcam's hands.
# Around tips it is 1.13 times as wide, as the palm may be on any side of them; training/data/README.md has the effect of that.
_HAND_EXTENT_M = 0.167
_PICTURES = frozenset({".bmp", ".png", ".jpg"})


class DexterObject:
    """All frames of Dexter+Object that have a picture and a row."""

    name = "dexter-object"

    def __init__(self, folder: Path) -> None:
        self._frames: list[tuple[str, Path, FloatArray]] = []
        for sequence in SEQUENCES:
            tips = read_tips(folder / "data" / sequence / "annotations" / f"{sequence}3D.txt")
            pictures = sorted(p for p in (folder / "data" / sequence / "color").glob("*") if p.suffix.lower() in _PICTURES)
            if len(pictures) < len(tips):
                place = folder / "data" / sequence / "color"
                raise SourceError(f"{place}: {len(pictures)} pictures for {len(tips)} rows of labels. Unpack it again.")
            self._frames += [(sequence, path, row) for path, row in zip(pictures, tips, strict=False)]

    def __len__(self) -> int:
        return len(self._frames)

    def sample(self, index: int) -> Sample:
        """Read one frame; joints other than fingertips, and tips that are missing, are not valid.

        Raises TooFewJointsError where fewer than two tips are labelled, SourceError for a missing or damaged picture.
        """
        sequence, path, tips_mm = self._frames[index]
        joints_m = np.full((NUM_JOINTS, 3), np.nan)
        joints_m[list(FINGERTIPS)] = in_colour_camera(tips_mm)
        if np.isfinite(joints_m).all(-1).sum() < 2:
            raise TooFewJointsError(f"{path}: fewer than two fingertips are labelled in this frame.")
        rgb = read_picture(path)
        focal, depth_m = (_K_COLOUR[0, 0] + _K_COLOUR[1, 1]) / 2, np.nanmean(joints_m[:, 2])
        hand = LabelledHand(
            side="left",
            joints_px=project(joints_m, _K_COLOUR),
            sigma_px=np.zeros(NUM_JOINTS),
            joints_m=joints_m,
            extent_px=float(focal * _HAND_EXTENT_M / depth_m),
        )
        camera = Camera(width=rgb.shape[1], height=rgb.shape[0], K=_K_COLOUR, source="calibrated")
        name = f"{sequence}/{path.name}"
        return cut_sample(rgb, camera, hand, source=self.name, name=name, split_key=sequence, spec=EVALUATION_SPEC)


def read_tips(path: Path) -> FloatArray:
    """Return fingertips (frames, 5, 3) in mm as written, NaN where missing. Raises SourceError naming file and line."""
    if not path.is_file():
        raise SourceError(f"{path}: no such file. Check that Dexter+Object is unpacked here in its published layout.")
    rows = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = np.array([[float(x) for x in point.split(",")] for point in line.strip().strip(";").split(";")])
        except ValueError as error:
            raise SourceError(f"{path}, line {number}: not five points 'x, y, z;' ({error}). Download it again.") from error
        if row.shape != (5, 3):
            raise SourceError(f"{path}, line {number}: not five points 'x, y, z;'. Download it again.")
        rows.append(np.where((row[:, 2:] > 0) & (row[:, 2:] <= _FURTHEST_MM), row, np.nan))
    if not rows:
        raise SourceError(f"{path}: holds no labels. Download it again.")
    return np.stack(rows)


def in_colour_camera(tips_mm: FloatArray) -> FloatArray:
    """Convert fingertips (5, 3) as written to metres in the colour camera's frame."""
    depth = tips_mm * np.array([-1.0, -1.0, 1.0])
    return np.asarray((depth @ _COLOUR_FROM_DEPTH[:, :3].T + _COLOUR_FROM_DEPTH[:, 3]) * 1e-3)
