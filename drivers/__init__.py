"""Drivers carry work out on hypervisors and report what they see; they decide nothing."""
