"""How events move: the imperative shell on Kafka and Redis."""
