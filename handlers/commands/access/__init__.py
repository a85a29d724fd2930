"""What each process may do on Kafka and Redis, and no more."""
