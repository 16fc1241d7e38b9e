"""What the user wants to see, as one frozen record; each of its toggles is listed here with its key and texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from handviz.app.heat_choice import ALL

# The solvers of ``handviz.fit.refinement``; importing it for their names would load compiled code.
RefineSolver = Literal["newton", "paper"]
REFINE_SOLVERS: tuple[RefineSolver, ...] = ("newton", "paper")
MeshStyle = Literal["solid", "wire", "glass"]
MESH_STYLES: tuple[MeshStyle, ...] = ("solid", "wire", "glass")


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewOptions:
    """Toggles of the video view and of the 3D view; ``heatmap_of`` is a choice of ``handviz.app.heat_choice``.

    ``refine_solver`` and ``refine_steps`` are for the refinement watched on a held frame; live frames have their own count.
    """

    skeleton: bool = True
    boxes: bool = True
    group_colours: bool = False
    heatmaps: bool = False
    heatmap_of: str = ALL
    mesh_overlay: bool = False
    mask: bool = False
    seen_mask: bool = False
    features: bool = False
    trails: bool = False
    mirror: bool = False
    side_by_side: bool = False
    skeleton_3d: bool = True
    mesh_3d: bool = True
    mesh_style: MeshStyle = "solid"
    frustum: bool = False
    grid: bool = True
    follow: bool = True
    refine_solver: RefineSolver = "newton"
    refine_steps: int = 30


@dataclass(frozen=True, slots=True)
class Toggle:
    """One on/off choice: field of ``ViewOptions``, short label, key, longer text, and where it acts."""

    name: str
    label: str
    key: str
    tip: str
    place: Literal["video", "scene"]


TOGGLES: tuple[Toggle, ...] = (
    Toggle("skeleton", "Skeleton", "S", "Bones and joints over the picture; faint where confidence is low", "video"),
    Toggle("boxes", "Boxes", "B", "Box, side, track number and score of each hand", "video"),
    Toggle("mesh_overlay", "Mesh", "O", "The shaded hand mesh over the picture", "video"),
    Toggle("mask", "Mask", "K", "The silhouette of the mesh", "video"),
    Toggle(
        "seen_mask",
        "Seen mask",
        "Shift+K",
        "The hand mask that the dense network predicts, before any mesh; more opaque where it is surer",
        "video",
    ),
    Toggle("heatmaps", "Heatmaps", "H", "Where the network sees each joint", "video"),
    Toggle("features", "Features", "Shift+H", "The dense network's feature map in false colours", "video"),
    Toggle("trails", "Trails", "T", "Recent paths of the five fingertips", "video"),
    Toggle("group_colours", "Groups", "G", "Colour joints by the network's learned group instead of by finger", "video"),
    Toggle("mirror", "Mirror", "I", "Mirror the picture; results stay un-mirrored", "video"),
    Toggle("side_by_side", "Split", "V", "Compared estimators side by side instead of one over the other", "video"),
    Toggle("skeleton_3d", "Skeleton", "Shift+S", "Bones and joints in metres", "scene"),
    Toggle("mesh_3d", "Mesh", "M", "The hand's surface", "scene"),
    Toggle("frustum", "Camera", "C", "The camera's field of view with the picture in it", "scene"),
    Toggle("grid", "Grid", "Shift+G", "The floor, in cells of 5 cm", "scene"),
    Toggle("follow", "Follow", "L", "Keep the hands framed as they move", "scene"),
)
