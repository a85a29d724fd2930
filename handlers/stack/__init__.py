"""The local stack: real Kafka and Valkey as child processes, from pip alone."""
