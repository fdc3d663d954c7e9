"""Decisions on record: what was asked and answered, as text, and made again from the record."""
