"""All that speaks to PostgreSQL: its server, its pool, its schema, and one noun a file."""
