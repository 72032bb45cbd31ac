"""Steps: spans hung together, and which service and span name fails or slows down."""
