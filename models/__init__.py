"""What Rapport thinks: pure functions and frozen values. No I/O, no clock, no dice."""
