"""The StateStore port and its two twins: Redis and memory."""
