"""The house style, enforced."""
