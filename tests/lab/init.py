"""Process 1 of a host: gives it folders of its own, starts libvirtd, and buries the dead."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.lab.hosts import BINDS, DAEMON, PID_FILE


def main(name: str, home: Path) -> None:
    """Never returns: when this process ends, so does the host."""
    socket.sethostname(f"{name}.lab")
    for folder, target in BINDS.items():
        subprocess.run(["mount", "--bind", str(home / folder), target], check=True)
    # Without systemd libvirt cannot have control groups of its own: hide them.
    subprocess.run(["umount", "-R", "-l", "/sys/fs/cgroup"], stderr=subprocess.DEVNULL, check=False)
    subprocess.Popen([*DAEMON, PID_FILE])
    while True:
        try:
            os.wait()
        except ChildProcessError:
            time.sleep(0.1)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
