"""`python -m tests.lab.vsphere hosts=5 task_ms=300` runs a vCenter until its input ends."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.lab.vcenter import Shape, vcenter


def main() -> None:
    """Prints how to get in: the URL, the user, the password and the certificate to trust."""
    sizes: dict[str, Any] = {}
    for word in sys.argv[1:]:
        name, _, value = word.partition("=")
        sizes[name] = int(value)
    with TemporaryDirectory() as folder, vcenter(Path(folder) / "vcenter", Shape(**sizes)) as vc:
        print(vc.url, vc.user, vc.password, vc.certificate, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
