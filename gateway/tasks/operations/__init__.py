"""The operations on VMs, one file each, with the table of their sagas."""
