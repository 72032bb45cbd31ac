"""Log lines: files found, read with every byte accounted for, counted and searched."""
