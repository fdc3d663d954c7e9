"""Gateways over two zones of a simulated subscription, alone or beside simulated hosts."""

import re
from pathlib import Path
from typing import Any

from tests.acceptance.gateway import Place, place
from tests.lab.azure.process import Apart

PASSWORD = "canary-4dm1n-p4ssw0rd"
SIZES = "Standard_B1s Standard_B1ms Standard_B2s Standard_D2s_v3"
BLOCK = """[hypervisor.azure]
kind = "azure"
type = "azurecompute-arm"
[hypervisor.azure.options]
subscription = "{arm[subscription]}"
resource_group = "vmgate"
sizes = "{sizes}"
credential = "secret"
tenant = "{arm[tenant]}"
client = "{arm[client_id]}"
client_secret_file = "{home}/client-secret"
admin_password_file = "{home}/admin-password"
base_url = "{arm[base_url]}"
authority = "{arm[base_url]}"
ca_file = "{arm[ca_file]}"
call_timeout_s = 2
poll_s = 0.05
polls_per_s = 100
backoff_s = 0.1
survey_each_s = 0.2
quota_each_s = 1
"""
HOST = """
[[datacenters.racks.hosts]]
name = "eastus-{zone}"
hypervisor = "azure"
address = "eastus/{zone}"
networks = {{ default = "{arm[subnet]}" }}
datastores = ["{store}"]
"""
DISKS = """[[datacenters.datastores]]
name = "disks"
shared = true
"""
TEMPLATE = """[[datacenters.templates]]
name = "linux"
source = "Canonical:UbuntuServer:18.04-LTS:latest"
disk_bytes = 1073741824
ram_mib = 512
types = ["azurecompute-arm"]
"""
VDC = """[[virtualdatacenters]]
name = "cloud"
enterprise = "tests"
datacenter = "datacenter"
type = "azurecompute-arm"
network = "10.1.0.0/16"
"""


def on_azure(arm: Apart, home: Path, database_url: str, **more: Any) -> Place:
    """The usual configuration, with two zones in place of simulated hosts."""
    found = place(home, database_url, **{"unknown_after_s": 10, **more})
    text = found.config.read_text()
    text = re.sub(r"\[hypervisor\.sim\](?:.|\n)*?(?=\[\[datacenters\]\])", _block(arm, home), text)
    text = text.partition("\n[[datacenters.racks.hosts]]")[0] + _hosts(arm, "shared")
    text = text.replace('"KVM"', '"azurecompute-arm"')
    text = text.replace('source = "tiny"', 'source = "Canonical:UbuntuServer:18.04-LTS:latest"')
    found.config.write_text(text)
    return found


def beside_hosts(arm: Apart, home: Path, database_url: str, **more: Any) -> Place:
    """The usual configuration with its simulated hosts, and a virtual datacenter `cloud` over two
    zones beside them."""
    found = place(home, database_url, **more)
    text = found.config.read_text()
    text = text.replace("[[datacenters]]", f"{_block(arm, home)}[[datacenters]]", 1)
    text = text.replace("[[datacenters.templates]]", f"{DISKS}[[datacenters.templates]]", 1)
    text = text.replace("[[virtualdatacenters]]", f"{TEMPLATE}{VDC}[[virtualdatacenters]]", 1)
    found.config.write_text(text + _hosts(arm, "disks"))
    return found


def _block(arm: Apart, home: Path) -> str:
    for name, text in (("client-secret", arm.told["client_secret"]), ("admin-password", PASSWORD)):
        (home / name).write_text(text)
    return BLOCK.format(arm=arm.told, home=home, sizes=SIZES)


def _hosts(arm: Apart, store: str) -> str:
    return "".join(HOST.format(arm=arm.told, zone=zone, store=store) for zone in "12")
