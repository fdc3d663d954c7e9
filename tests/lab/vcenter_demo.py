"""`make demo HYPERVISOR=esxi`: starts a vCenter of our own, runs the demo on its hosts, ends it."""

import asyncio
import sys
from pathlib import Path

from gateway.cli.demo import demo
from tests.lab import demo_setting
from tests.lab.vcenter import Shape, VCenter, VCenterError, missing, vcenter

SHAPE = Shape(
    clusters=2,
    hosts=3,
    vms=0,
    datastores=1,
    networks=1,
    task_ms=500,
    boot_ms=300,
    shutdown_ms=300,
)
_CONFIG = """
[hypervisor.vcenter]
kind = "esxi"
type = "VMX_04"
[hypervisor.vcenter.options]
server = "{vc.host}:{vc.port}"
user = "{vc.user}"
password_file = "{home}/vcenter-password"
ca_file = "{vc.certificate}"
datacenter = "lab"
[[datacenters.templates]]
name = "tiny"
description = "A disk of 1 GiB; boots in a moment and answers a graceful shutdown"
source = "template-1"
disk_format = "VMDK_SPARSE"
disk_bytes = 1073741824
ram_mib = 512
types = ["VMX_04"]
[[virtualdatacenters]]
name = "demo-esxi"
enterprise = "demo"
datacenter = "demo"
type = "VMX_04"
{racks}
"""
_RACK = """
[[datacenters.datastores]]
name = "shared-{rack}-1"
shared = true
[[datacenters.racks]]
name = "rack-{rack}"
"""
_HOST = """
[[datacenters.racks.hosts]]
name = "esxi-{rack}-{host}"
hypervisor = "vcenter"
address = "esxi-{rack}-{host}"
networks = {{ default = "lan-1" }}
datastores = ["shared-{rack}-1"]
"""


def write(path: Path, vc: VCenter, home: Path) -> None:
    """A configuration over the vCenter's hosts, a cluster a rack."""
    demo_setting.secret(home / "vcenter-password", vc.password)
    racks = ""
    for rack in range(1, SHAPE.clusters + 1):
        racks += _RACK.format(rack=rack)
        racks += "".join(_HOST.format(rack=rack, host=host) for host in range(1, SHAPE.hosts + 1))
    path.write_text((demo_setting.HEAD + _CONFIG).format(home=home, vc=vc, racks=racks))


def main() -> int:
    """The demo's exit status; 2 when this computer cannot run it."""
    reason = missing()
    if reason:
        print(f"vmgate: {reason}", file=sys.stderr)
        return 2
    home = demo_setting.home("esxi")
    try:
        with vcenter(home / "vcenter", SHAPE) as vc:
            write(home / "esxi.toml", vc, home)
            return asyncio.run(demo(home / "esxi.toml", keep=demo_setting.keeps()))
    except VCenterError as error:
        print(f"vmgate: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
