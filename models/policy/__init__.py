"""When and why a client is contacted, and every reason not to."""
