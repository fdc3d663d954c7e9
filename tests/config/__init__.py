"""The configuration and the documents say what the product does."""
