"""`make demo HYPERVISOR=azure`: starts an ARM simulator of our own, runs the demo, ends it."""

import asyncio
import importlib.util
import sys
from functools import partial
from pathlib import Path

from gateway.cli.demo import demo
from tests.lab import demo_setting
from tests.lab.azure.client import Client
from tests.lab.azure.cloud import Pace
from tests.lab.azure.simulator import GROUP, Simulator
from tests.lab.azure_scenario import AzureScenario

_CONFIG = """
[hypervisor.azure]
kind = "azure"
type = "azurecompute-arm"
[hypervisor.azure.options]
subscription = "{arm.subscription}"
resource_group = "{group}"
sizes = "Standard_B1s Standard_B1ms Standard_B2s Standard_B4ms"
credential = "secret"
tenant = "{arm.entra.tenant}"
client = "{arm.entra.client_id}"
client_secret_file = "{home}/client-secret"
base_url = "{arm.base_url}"
authority = "{arm.base_url}"
ca_file = "{arm.ca_file}"
poll_s = 0.2
survey_each_s = 1
listing_each_s = 5
quota_each_s = 5
[[datacenters.templates]]
name = "linux"
description = "An image of Azure's gallery; nothing boots in the simulator"
source = "Canonical:UbuntuServer:18.04-LTS:latest"
disk_format = "VHD_FLAT"
disk_bytes = 32212254720
ram_mib = 1024
types = ["azurecompute-arm"]
[[virtualdatacenters]]
name = "demo-azure"
enterprise = "demo"
datacenter = "demo"
type = "azurecompute-arm"
network = "10.0.0.0/16"
[[datacenters.racks]]
name = "eastus"
"""
_PLACE = """
[[datacenters.datastores]]
name = "disks-{zone}"
[[datacenters.racks.hosts]]
name = "eastus-{zone}"
hypervisor = "azure"
address = "eastus/{zone}"
networks = {{ default = "{arm.subnet}" }}
datastores = ["disks-{zone}"]
"""


def write(path: Path, arm: Simulator, home: Path) -> None:
    """A configuration over two zones of a region."""
    demo_setting.secret(home / "client-secret", arm.entra.client_secret)
    text = (demo_setting.HEAD + _CONFIG).format(home=home, arm=arm, group=GROUP)
    path.write_text(text + "".join(_PLACE.format(arm=arm, zone=zone) for zone in "12"))


async def act(home: Path) -> int:
    """The demo's exit status."""
    pace = Pace(looks=1, seconds=0.5)
    async with (
        Simulator.start(home, pace=pace, strict=True) as arm,
        Client.of(arm, arm.subscription, GROUP, arm.entra.give()) as outsider,
    ):
        write(home / "azure.toml", arm, home)
        scenario = partial(AzureScenario, arm=arm, outsider=outsider)
        return await demo(home / "azure.toml", keep=demo_setting.keeps(), scenario=scenario)


def main() -> int:
    """The demo's exit status; 2 when this computer cannot run it."""
    if importlib.util.find_spec("azure.mgmt.compute") is None:
        print("vmgate: the Azure driver needs the extra vmgate[azure]", file=sys.stderr)
        return 2
    return asyncio.run(act(demo_setting.home("azure")))


if __name__ == "__main__":
    sys.exit(main())
