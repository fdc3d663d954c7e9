"""What the demos on our own simulators share: where they live, who may log in, how they keep."""

import os
import sys
from pathlib import Path

HEAD = """
[store]
data_dir = "{home}"
[tasks]
poll_s = 0.1
[observers]
period_s = 2
unknown_after_s = 10
[[enterprises]]
name = "demo"
[[users]]
login = "admin"
enterprise = "demo"
privileges = ["ALL"]
password_env = "VMGATE_ADMIN_PASSWORD"
[[users]]
login = "guest"
enterprise = "demo"
password_env = "VMGATE_GUEST_PASSWORD"
[[datacenters]]
name = "demo"
"""


def home(kind: str) -> Path:
    """The demo's folder, which the gateway takes for its data too."""
    found = Path(os.environ.get("DATA_DIR") or f"var/demo-{kind}").absolute()
    found.mkdir(parents=True, exist_ok=True)
    os.environ["DATA_DIR"] = str(found)
    return found


def secret(path: Path, text: str) -> Path:
    """A file that only we may read."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def keeps() -> bool:
    """Whether it goes on serving after the last step."""
    return "--no-keep" not in sys.argv[1:]
