"""Build the default hand: ``python -m scripts.build_hand [--out FILE]``. The same code always gives the same file."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from handviz.hand.hand_file import HandArrays, check_hand, write_hand_file
from scripts.hand_build.skinning import joint_regressor, neighbour_mean, rest_joints, skin_weights
from scripts.hand_build.surface import hand_distance, project
from scripts.hand_build.topology import build_mesh, outward

OUT = Path(__file__).parent.parent / "handviz" / "assets" / "hands" / "default.npz"


def build() -> HandArrays:
    mesh = build_mesh()
    p, faces = np.array(mesh.points), outward(mesh)
    V = len(p)
    mean = neighbour_mean(faces, V)
    in_tube = np.zeros(V, bool)
    for name, rings in mesh.rings.items():
        if name not in ("palm", "wrist"):
            in_tube[np.concatenate(rings[1:])] = True
    in_tube[list(mesh.tips.values())] = True
    in_tube[mesh.rings["wrist"][0]] = True
    free = ~in_tube
    for _ in range(30):
        p[free] += 0.5 * ((mean @ p) - p)[free]
        p[free] = project(hand_distance, p[free], 2)
    joints = rest_joints()
    weights = skin_weights(p, faces)
    regressor = joint_regressor(p, joints)
    print("regressor error mm", np.linalg.norm(regressor @ p - joints, axis=1).max() * 1e3)
    shape_dirs = np.zeros((V, 3, 10))
    shape_dirs[..., 0] = 0.05 * p
    shape_dirs[:, 2, 1] = 0.05 * p[:, 2]
    part = weights.argmax(1)
    label = np.array([0, 4, 5, 6, 7, 8, 9, 13, 14, 15, 10, 11, 12, 1, 2, 3])
    uv = np.stack([(p[:, 0] + 0.1) / 0.22, (p[:, 2] + 0.06) / 0.18], -1)
    return HandArrays(
        template_V3=p.astype(np.float32),
        faces_F3=faces.astype(np.int32),
        shape_dirs_V3S=shape_dirs.astype(np.float32),
        pose_dirs_V3P=np.zeros((V, 3, 135), np.float32),
        joint_regressor_JV=regressor.astype(np.float32),
        skin_weights_VJ=weights.astype(np.float32),
        tip_vertices=np.array([mesh.tips[n] for n in ("thumb", "index", "middle", "ring", "little")], np.int32),
        uv_V2=np.clip(uv, 0, 1).astype(np.float32),
        part_V=label[part].astype(np.int32),
        texture_code=np.zeros(0, np.uint8),
        shape_names=("size", "width", *[f"none{i}" for i in range(8)]),
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
