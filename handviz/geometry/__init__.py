"""Geometry of space: cameras, rotations, alignment. Knows nothing about hands or networks."""
