"""A vCenter of the lab, and gateways over its hosts."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.gateway import Place, place
from tests.lab.vcenter import Shape, VCenter, missing, vcenter

SHAPE = Shape(clusters=1, hosts=2, vms=0, datastores=1, networks=1, task_ms=50, boot_ms=50)
BLOCK = """[hypervisor.{name}]
kind = "esxi"
type = "VMX_04"
[hypervisor.{name}.options]
server = "{vc.host}:{vc.port}"
user = "{vc.user}"
password_file = "{home}/password"
ca_file = "{vc.certificate}"
datacenter = "lab"
call_timeout_s = 2
"""
HOST = """
[[datacenters.racks.hosts]]
name = "esxi-1-{n}"
hypervisor = "sim"
address = "esxi-1-{n}"
datastores = ["shared"]
"""


@pytest.fixture(scope="module")
def vc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VCenter]:
    if missing():
        pytest.skip(missing())
    with vcenter(tmp_path_factory.mktemp("vsphere") / "one", SHAPE) as running:
        yield running


def on_vcenter(vc: VCenter, home: Path, database_url: str, **more: Any) -> Place:
    """The usual configuration, with the vCenter's hosts in place of simulated ones."""
    found = place(home, database_url, **more)
    (home / "password").write_text(vc.password)
    text = found.config.read_text()
    block = BLOCK.format(name="sim", vc=vc, home=home)
    text = re.sub(r"\[hypervisor\.sim\](?:.|\n)*?(?=\[\[datacenters\]\])", block, text)
    text = text.partition("\n[[datacenters.racks.hosts]]")[0] + "".join(
        HOST.format(n=n) for n in (1, 2)
    )
    text = text.replace('"KVM"', '"VMX_04"').replace('source = "tiny"', 'source = "template-1"')
    text = text.replace('name = "shared"', 'name = "shared"\npool = "shared-1-1"')
    found.config.write_text(text)
    return found
