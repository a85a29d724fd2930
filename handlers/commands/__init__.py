"""The commands of `rapport` that belong to no single edge: one file each, imported only when called."""
