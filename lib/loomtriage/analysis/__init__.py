"""Arithmetic of triage: frames in, suspects and facts out; no I/O."""
