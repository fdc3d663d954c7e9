"""Workload rules, rule sets, and what rules are about: clusters, tiers, layers, reservations."""
