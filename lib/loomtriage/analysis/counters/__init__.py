"""Counters and gauges: what grew, by how much beyond chance, and which label pattern says so."""
