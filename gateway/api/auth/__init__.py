"""Who calls: credentials, their verification, and what the caller may do."""
