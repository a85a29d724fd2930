"""Real processes, real servers, and everything that can go wrong between them."""
