"""How a task ends that does not simply succeed: cancelled, resolved, given back, left open."""
