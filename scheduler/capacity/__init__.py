"""Capacity reports: what still fits, and what would with any one host lost."""
