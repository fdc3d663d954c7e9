"""The live index: it finds the best host for a demand, and keeps up with changes."""
