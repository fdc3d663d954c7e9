"""A configuration for vmgate over the rig's hosts."""

from dataclasses import asdict, dataclass
from pathlib import Path

from tests.lab.guest import SIZE_BYTES
from tests.lab.hosts import BRIDGE, LOCAL, SHARED, TEMPLATE, Lab

_HEAD = """
[store]
data_dir = "{data_dir}"

[tasks]
lease_s = {lease_s}
heartbeat_s = {heartbeat_s}
margin_s = {heartbeat_s}
poll_s = 0.1

[observers]
period_s = {period_s}
unknown_after_s = {unknown_after_s}
lease_s = 5

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

[hypervisor.lab]
kind = "kvm"
type = "KVM"

[hypervisor.lab.options]
domain = "qemu"
disk_bus = "ide"
nic_model = "e1000"
serial_log_dir = "{serial}"
look_timeout_s = 2
shutdown_retry_s = 0.5
memory_mib = 4096
cpus = 8
transports = "tcp"
local_addresses = true

[[datacenters]]
name = "demo"

[[datacenters.datastores]]
name = "{shared}"
shared = true

[[datacenters.templates]]
name = "tiny"
description = "One boot sector that answers a graceful shutdown"
source = "{template}"
disk_format = "QCOW2_SPARSE"
disk_bytes = {size}
cpu = 1
ram_mib = 16
types = ["KVM"]

[[virtualdatacenters]]
name = "demo-kvm"
enterprise = "demo"
datacenter = "demo"
type = "KVM"
network = "10.9.0.0/16"

[[datacenters.racks]]
name = "rack-1"
"""
_HOST = """
[[datacenters.datastores]]
name = "{local}-{name}"
pool = "{local}"
enabled = false

[[datacenters.racks.hosts]]
name = "{name}"
hypervisor = "lab"
address = "{address}"
networks = {{ default = "{bridge}" }}
datastores = ["{shared}", "{local}-{name}"]
"""


@dataclass(frozen=True, slots=True)
class Times:
    """How patient the gateway is; seconds."""

    lease_s: float = 5
    heartbeat_s: float = 1
    period_s: float = 2
    unknown_after_s: float = 10


QUICK = Times(lease_s=2, heartbeat_s=0.4, period_s=0.5, unknown_after_s=1.5)


def write(path: Path, lab: Lab, data_dir: Path, times: Times | None = None) -> None:
    """The hosts' own datastores are declared too, disabled: VMs go to the shared one."""
    text = _HEAD.format(
        data_dir=data_dir,
        **asdict(times or Times()),
        serial=lab.shared / "serial",
        shared=SHARED,
        template=TEMPLATE,
        size=SIZE_BYTES,
    )
    for host in lab.hosts:
        text += _HOST.format(
            name=host.name, address=host.address, bridge=BRIDGE, shared=SHARED, local=LOCAL
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.lstrip())
