"""What happens to estimates afterwards: tracking, smoothing, refinement."""
