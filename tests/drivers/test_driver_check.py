"""`vmgate driver check NAME` says what works, what is missing, and ends accordingly."""

import time
from pathlib import Path

import pytest

from gateway.cli import app
from gateway.config import ConfigError
from tests.lab.vcenter import Shape, VCenter, missing, vcenter

ESXI = """
[hypervisor.vc]
kind = "esxi"
type = "VMX_04"
[hypervisor.vc.options]
server = "{host}:{port}"
user = "{user}"
password_file = "{home}/password"
ca_file = "{certificate}"
datacenter = "{datacenter}"
call_timeout_s = {timeout_s}
[hypervisor.sim]
kind = "simulated"
type = "KVM"
[[datacenters]]
name = "dc"
[[datacenters.datastores]]
name = "shared"
pool = "shared-1-1"
shared = true
[[datacenters.racks]]
name = "rack"
[[datacenters.racks.hosts]]
name = "first"
hypervisor = "vc"
address = "esxi-1-1"
networks = {{ default = "lan-1" }}
datastores = ["shared"]
[[datacenters.racks.hosts]]
name = "second"
hypervisor = "vc"
address = "{second}"
networks = {{ default = "{network}" }}
datastores = ["shared"]
[[datacenters.racks.hosts]]
name = "third"
hypervisor = "sim"
address = "sim://third"
datastores = ["shared"]
"""


@pytest.fixture
def drs() -> bool:
    return False


@pytest.fixture
def vc(tmp_path: Path, drs: bool) -> "object":
    reason = missing()
    if reason:
        pytest.skip(reason)
    shape = Shape(clusters=1, hosts=2, vms=0, datastores=1, networks=1, drs=drs)
    with vcenter(tmp_path / "vc", shape) as running:
        yield running


def checked(
    vc: VCenter, home: Path, capsys: pytest.CaptureFixture[str], block: str = "vc", **wrong: object
) -> tuple[int, list[str]]:
    """The exit status and the lines that were printed."""
    (home / "password").write_text(f"{vc.password}\n")
    values = {
        "host": vc.host,
        "port": vc.port,
        "user": vc.user,
        "certificate": vc.certificate,
        "home": home,
        "datacenter": "lab",
        "second": "esxi-1-2",
        "network": "VM Network",
        "timeout_s": 10.0,
        **wrong,
    }
    (home / "config.toml").write_text(ESXI.format(**values))
    with pytest.raises(SystemExit) as ended:
        app(["driver", "check", block, "-c", str(home / "config.toml")])
    return int(str(ended.value.code)), capsys.readouterr().out.splitlines()


def test_a_vcenter_where_all_is_well(
    vc: VCenter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Versions, the clock, the role, the folder, the clusters, and each host."""
    status, lines = checked(vc, tmp_path, capsys)
    assert status == 0
    assert [line.split()[0] for line in lines] == ["fine"] * 7
    told = "\n".join(lines)
    for word in ("API 6.5, spoken 6.5", "s from ours", "all privileges", "lab/vm/", "no VM by"):
        assert word in told
    for host in ("first", "second"):
        assert f"{host}: VMware ESXi 6.5.0, 16 CPUs, 64512 MiB, 0 VMs, shared-1-1" in told


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"second": "esxi-9-9"}, "WRONG second: the vCenter has no such host"),
        ({"network": "no-such"}, "WRONG second: it has no network no-such"),
        ({"datacenter": "nowhere"}, "WRONG vc: "),
        ({"user": "nobody"}, "WRONG vc: vc refuses the user or the password"),
    ],
    ids=["host", "network", "datacenter", "user"],
)
def test_what_is_missing_is_named(
    vc: VCenter,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    wrong: dict[str, object],
    said: str,
) -> None:
    status, lines = checked(vc, tmp_path, capsys, **wrong)
    assert status == 1
    assert any(line.startswith(said) for line in lines)
    assert vc.password not in "\n".join(lines)


@pytest.mark.parametrize("drs", [True])
def test_a_cluster_that_moves_vms_by_itself_is_told(
    vc: VCenter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, lines = checked(vc, tmp_path, capsys)
    assert status == 1
    assert "WRONG rack-1: DRS moves VMs by itself" in lines


def test_a_vcenter_that_is_silent_is_not_waited_for(
    vc: VCenter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vc.freeze()
    began_s = time.monotonic()
    status, lines = checked(vc, tmp_path, capsys, timeout_s=0.5)
    assert time.monotonic() - began_s < 10
    assert status == 1
    assert {line.split()[0] for line in lines} == {"WRONG"}


def test_hosts_of_other_kinds_are_seen_too(
    vc: VCenter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit status and a line for each."""
    status, lines = checked(vc, tmp_path, capsys, "sim")
    assert status == 0
    assert len(lines) == 1
    assert lines[0].startswith("fine  third: simulated KVM 1.0, 32 CPUs, 131072 MiB, 0 VMs")


def test_a_block_that_is_not_there_is_said(
    vc: VCenter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match=r"no block hypervisor.kvm \(there are: vc, sim\)"):
        checked(vc, tmp_path, capsys, "kvm")
