"""`rapport clients`: who is who among the clients."""
