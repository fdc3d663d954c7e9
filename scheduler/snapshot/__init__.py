"""A whole inventory at one moment as one JSON file, to decide and to plan without the service."""
