"""Build the default hand: ``python scripts/build_hand.py [--out FILE]``. The same code always gives the same file."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from hand_build.correctives import pose_correctives
from hand_build.relax import relax
from hand_build.shapes import CHANGES, shape_directions
from hand_build.skinning import joint_regressor, rest_joints, skin_weights
from hand_build.topology import build_mesh, outward

from handviz.hand.hand_file import HandArrays, check_hand, write_hand_file

OUT = Path(__file__).parent.parent / "handviz" / "assets" / "hands" / "default.npz"


def build() -> HandArrays:
    mesh = build_mesh()
    faces = outward(mesh)
    p = relax(mesh, faces)
    joints = rest_joints()
    weights = skin_weights(p, faces)
    regressor = joint_regressor(p, joints)
    print("regressor error mm", np.linalg.norm(regressor @ p - joints, axis=1).max() * 1e3)
    shape_dirs = shape_directions(p, weights)
    pose_dirs = pose_correctives(p, joints, weights)
    part = weights.argmax(1)
    label = np.array([0, 4, 5, 6, 7, 8, 9, 13, 14, 15, 10, 11, 12, 1, 2, 3])
    uv = np.stack([(p[:, 0] + 0.1) / 0.22, (p[:, 2] + 0.06) / 0.18], -1)
    return HandArrays(
        template_V3=p.astype(np.float32),
        faces_F3=faces.astype(np.int32),
        shape_dirs_V3S=shape_dirs.astype(np.float32),
        pose_dirs_V3P=pose_dirs.astype(np.float32),
        joint_regressor_JV=regressor.astype(np.float32),
        skin_weights_VJ=weights.astype(np.float32),
        tip_vertices=np.array([mesh.tips[n] for n in ("thumb", "index", "middle", "ring", "little")], np.int32),
        uv_V2=np.clip(uv, 0, 1).astype(np.float32),
        part_V=label[part].astype(np.int32),
        texture_code=np.zeros(0, np.uint8),
        shape_names=tuple(change.name for change in CHANGES),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    arrays = build()
    check_hand(arrays, str(out))
    write_hand_file(out, arrays)
    print(out, len(arrays.template_V3), "vertices", len(arrays.faces_F3), "triangles", out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
