"""The supervisor: how a lab is brought up, watched and taken down as a set of processes."""
