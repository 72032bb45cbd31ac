"""The Elasticsearch stand-in: what the worker writes to, honest about refusing."""
