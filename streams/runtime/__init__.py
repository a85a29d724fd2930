"""What every process needs: settings, clock, errors, log, metrics, lifecycle."""
