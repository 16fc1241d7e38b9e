"""What happens to estimates afterwards: tracking and smoothing."""
