"""Simulations: recorded history under other rules, and the impact of rules on the inventory."""
