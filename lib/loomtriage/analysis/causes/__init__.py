"""Causes: facts of all signals, and a decision list from them to a name."""
