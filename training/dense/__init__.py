"""Training of the dense hand: losses, metrics, self-supervised augmentation, ablations."""
