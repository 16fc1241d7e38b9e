"""Build the default hand: ``python scripts/build_hand.py [--out FILE]``. The same code always gives the same hand.

Anatomy gives a smooth surface (``anatomy``, ``surface``), a mesh of rings is laid on it (``topology``, ``relax``), and
joints, weights, proportions, pose correctives and the skin's picture follow from both.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from hand_build.correctives import pose_correctives
from hand_build.relax import relax
from hand_build.shapes import CHANGES, shape_directions
from hand_build.skin import encode, paint
from hand_build.skinning import rest_joints, skin_weights
from hand_build.topology import build_mesh, outward
from hand_build.unwrap import folded, unwrap

from handviz.hand.hand_file import HandArrays, check_hand, hand_file_bytes
from handviz.hand.parts import part_labels
from handviz.hand.regressor import joint_regressor
from handviz.hand.skeleton import FINGERS

OUT = Path(__file__).resolve().parent.parent / "handviz" / "assets" / "hands" / "default.npz"


def build() -> HandArrays:
    """Return the default hand."""
    mesh = build_mesh()
    faces = outward(mesh)
    p = relax(mesh, faces)
    joints = rest_joints()
    weights = skin_weights(p, faces)
    uv = unwrap(mesh, p)
    if folded(uv, faces):
        raise RuntimeError("the texture layout folds over; adjust the rows in hand_build.unwrap")
    return HandArrays(
        template_V3=p.astype(np.float32),
        faces_F3=faces.astype(np.int32),
        shape_dirs_V3S=shape_directions(p, weights).astype(np.float32),
        pose_dirs_V3P=pose_correctives(p, joints, weights).astype(np.float32),
        joint_regressor_JV=joint_regressor(p, joints).astype(np.float32),
        skin_weights_VJ=weights.astype(np.float32),
        tip_vertices=np.array([mesh.tips[finger] for finger in FINGERS], np.int32),
        uv_V2=uv.astype(np.float32),
        part_V=part_labels(weights).astype(np.int32),
        texture_code=encode(paint(mesh, p, faces, uv)),
        shape_names=tuple(change.name for change in CHANGES),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    out: Path = parser.parse_args().out
    arrays = build()
    check_hand(arrays, str(out))
    out.write_bytes(hand_file_bytes(arrays))
    print(f"{out}: {len(arrays.template_V3)} vertices, {len(arrays.faces_F3)} triangles, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
