"""The version of the answers: it grows with each change that may give another answer."""

VERSION = "1"
"""Recorded with every decision; only the same version need repeat it byte for byte."""
