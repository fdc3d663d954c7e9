"""What fits, what is held, planned, left and decided, as administrators see it."""
