"""The two servers that are not ours, PostgreSQL and Prometheus: found, configured, furnished."""
