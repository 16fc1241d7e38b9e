"""Names of the packs that labelling writes."""

TRAIN_NAME, HELD_OUT_NAME = "train.safetensors", "heldout.safetensors"
