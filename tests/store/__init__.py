"""The store keeps its promises on every PostgreSQL we support."""
