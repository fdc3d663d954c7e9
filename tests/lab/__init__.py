"""The project's own rig: N real libvirt/QEMU hosts on one Linux computer, and a tiny guest."""
