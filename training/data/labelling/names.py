"""Names of the packs that labelling writes."""

TRAIN_NAME, HELD_OUT_NAME = "train.safetensors", "heldout.safetensors"
# Held-out hands with doubtful labels: the hard ones.
DOUBTFUL_NAME = "heldout-doubtful.safetensors"
