"""The gateway accepts requests, journals them, and has drivers carry them out."""
