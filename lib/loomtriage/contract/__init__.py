"""What every signal must obey: keys, reasons, causes, metrics, spans. Data, no I/O."""
