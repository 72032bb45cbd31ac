"""Headless runs: notebooks executed in one warm kernel, and the run folder they leave."""
