"""Space: cameras, rotations, alignment. Knows nothing of hands or networks."""
