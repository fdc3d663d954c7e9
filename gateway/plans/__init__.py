"""Relocation plans: proposed, approved, run."""
