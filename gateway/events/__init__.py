"""Every change becomes an event in the gap-free feed, in the same commit as the change."""
