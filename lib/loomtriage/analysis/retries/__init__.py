"""Retries: is each failed attempt tried again as it should be, and does it come to an end?"""
