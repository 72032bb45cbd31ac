"""The search worker: carries outbox rows to Elasticsearch."""
