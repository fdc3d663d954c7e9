"""Advice is tried against worlds that it did not see."""
