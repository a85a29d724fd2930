"""Firms that pay in ways nobody tuned for, and books as different programs write them: for `rapport evaluate`, all seeded."""
