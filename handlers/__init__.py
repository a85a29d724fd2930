"""The edges: everything that touches the outside world."""
