"""The API: takes writes and leaves an outbox row with each."""
