"""Publish: files that are written from the contract and the drill book, never by hand."""
