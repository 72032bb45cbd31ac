"""Telemetry of the API and the worker: log lines, meters, traces, and the ids they share."""
