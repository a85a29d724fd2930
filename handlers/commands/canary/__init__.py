"""Synthetic clients whose answer is known: told to the live workers, and held against what the program says."""
