"""The sixty-second tours: simulate, and the demo on real servers."""
