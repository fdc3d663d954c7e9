"""`make demo HYPERVISOR=kvm`: brings up two real hosts, runs the demo on them, takes them down."""

import asyncio
import os
import sys
from pathlib import Path

from gateway.cli.demo import demo
from tests.lab import configuration
from tests.lab.hosts import Lab, LabError, missing


def main() -> int:
    """The demo's exit status; 2 when this computer cannot run it."""
    reason = missing()
    if reason:
        print(f"vmgate: {reason}", file=sys.stderr)
        return 2
    home = Path(os.environ.get("DATA_DIR") or "var/demo-kvm").absolute()
    os.environ["DATA_DIR"] = str(home)
    try:
        with Lab(home / "lab", 2) as lab:
            configuration.write(home / "kvm.toml", lab, home)
            return asyncio.run(demo(home / "kvm.toml", keep="--no-keep" not in sys.argv[1:]))
    except LabError as error:
        print(f"vmgate: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
