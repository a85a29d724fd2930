"""The contracts of everything that can happen to a client, one file per family."""
