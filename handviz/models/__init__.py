"""Networks and their checkpoints, usable without the training package."""
