"""The outbox, and the feed that it is moved to in the order of commits."""
