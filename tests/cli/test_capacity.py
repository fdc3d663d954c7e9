"""What a file's cluster still takes is what placing shows."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import app

HOSTS = [
    {"name": "a", "cpus": 8, "memory": "16GiB"},
    {"name": "b", "cpus": 8, "memory": "16GiB"},
]
DISKS = [{"name": "nfs", "capacity": "1TiB", "shared": True}]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two hosts, one of them with a VM of half its size."""
    resident = {"host": "a", "cpu": 4, "ram": "8GiB", "disk": "10GiB"}
    cluster = {"hosts": HOSTS, "datastores": DISKS, "residents": [resident]}
    path = tmp_path / "cluster.json"
    path.write_text(json.dumps(cluster), encoding="utf-8")
    return path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What was printed by a command that ended well."""
    with pytest.raises(SystemExit) as ended:
        app(["capacity", *words])
    assert ended.value.code == 0
    return capsys.readouterr().out


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """The same as JSON."""
    found: dict[str, Any] = json.loads(run(capsys, *words, "--json"))
    return found


def test_the_biggest_vm_and_how_many_of_a_size(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """B11: eight CPUs are free on b alone; of two CPUs two fit on a and four on b."""
    found = told(capsys, "--cluster", str(file), "--cpu", "2", "--ram", "1GiB", "--disk", "1GiB")
    assert (found["biggest"]["cpu"], found["biggest"]["ramMib"]) == (8, 16384)
    assert found["fits"] == 6
    assert "anyHostLost" not in found
    assert "Of the size asked for 6 fit." in run(capsys, "--cluster", str(file), "--cpu", "2")
    assert told(capsys, "--cluster", str(file))["fits"] is None


def test_with_any_one_host_lost(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The VM of a goes to b and leaves room for two there; if b is lost, a has room for two."""
    words = ("--cluster", str(file), "--cpu", "2", "--lost-host")
    lost = told(capsys, *words)["anyHostLost"]
    assert (lost["safe"], lost["fits"]) == (True, 2)
    assert "All VMs find a place" in run(capsys, *words)


def test_a_host_that_cannot_be_lost_is_named(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its VM is too big for what is left elsewhere."""
    cluster = json.loads(file.read_text(encoding="utf-8"))
    cluster["residents"] += [{"host": "b", "cpu": 5, "ram": "1GiB", "disk": "1GiB"}]
    file.write_text(json.dumps(cluster), encoding="utf-8")
    words = ("--cluster", str(file), "--lost-host")
    lost = told(capsys, *words)["anyHostLost"]
    assert (lost["safe"], lost["unsafe"]) == (False, ["a", "b"])
    assert lost["worst"]["homeless"] == 1
    assert "VMs find no place: a, b." in run(capsys, *words)
