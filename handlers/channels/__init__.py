"""The workers that deliver triggers, once, after a last look at the facts."""
