"""Where samples come from: benchmark loaders, rendered hands, pseudo-labelled photographs, augmentation."""
