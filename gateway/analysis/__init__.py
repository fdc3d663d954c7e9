"""Slow questions about the whole inventory, which are answered in a child process."""
