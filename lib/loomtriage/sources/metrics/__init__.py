"""Metrics: questions to a PromQL server, its answers, and scrapes as series of samples."""
