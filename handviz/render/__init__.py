"""Rasteriser, shading and the differentiable mask."""
