"""A deterministic world around the shipped lanes and scripts: one seed, one story, every interleaving reachable."""
