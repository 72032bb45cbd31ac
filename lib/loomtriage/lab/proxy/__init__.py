"""The fault proxy before the stand-in: how drills refuse or answer in its place."""
