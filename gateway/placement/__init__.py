"""Placement in the gateway: the fleet mirror, claims, holds, the decision log, and advice."""
