"""The version of the decisions: two schedulers of one version answer one question alike."""

SCHEDULER = 1
"""Grows with every change after which some decision may come out otherwise."""
