"""The hand itself: joint names and order, mirroring, the parametric hand model."""
