"""The connection with a vCenter: sessions, reads, its tasks and the changes that it reports."""
