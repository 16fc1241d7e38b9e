"""One solver that fits hand parameters to joints, masks and priors."""
