"""Batched lanes, the fence in Redis, the outbox and its publisher, the watchdog."""
