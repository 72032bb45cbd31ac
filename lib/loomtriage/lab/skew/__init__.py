"""Skew: a folder for PYTHONPATH that gives a Python process another wall clock."""
