"""The connection with Azure: calls, their pace and repeats, and operations that take long."""
