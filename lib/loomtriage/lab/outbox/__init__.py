"""The outbox, seen from a worker: how rows are claimed, tried again and settled."""
