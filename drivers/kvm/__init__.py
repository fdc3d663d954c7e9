"""Real hosts: libvirt and QEMU."""
