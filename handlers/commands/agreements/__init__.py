"""Contracts in a CSV file, as the events that would have told of them."""
