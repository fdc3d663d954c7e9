"""Values without any search: demands, the inventory, limits, placements, reasons."""
