"""The database itself: its server, its sessions, its schema, its errors, and pages of rows."""
