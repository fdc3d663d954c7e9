"""Tests, mirroring the tree; each says the promise it checks."""
