"""Finding hands in the full picture."""
