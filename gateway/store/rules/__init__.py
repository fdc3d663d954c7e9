"""Workload rules on record, their versions, and what they are about."""
