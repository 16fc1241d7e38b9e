"""The limits of drawing, which all backends share; see ``handviz.render.screen``."""

from __future__ import annotations

# Triangles with a corner nearer than this are not drawn.
NEAR_M = 0.01
# Steps per pixel of the grid that corners are rounded to.
SUBPIXEL = 4096
# Triangles that reach further than this from the picture's origin are not drawn.
REACH_PX = 32768.0
