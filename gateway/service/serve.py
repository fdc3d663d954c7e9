"""Serving: everything one process runs, started in order and drained in reverse."""
