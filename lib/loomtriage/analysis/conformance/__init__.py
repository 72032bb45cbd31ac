"""Conformance: what the signals show, held against what the contract demands."""
