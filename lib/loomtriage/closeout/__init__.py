"""Close-out: which failed rows are left, what to do about each, and the one way to replay them."""
