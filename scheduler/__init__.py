"""The decision where a VM runs: inventory and rules in, an explained placement or refusal out."""
