"""Spans: searches of a trace store and trace documents, as rows of one table."""
