"""A vSphere API server of our own: its source in Go, and how it is built from Debian's packages."""
