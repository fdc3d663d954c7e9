"""Layers of an appliance on the wire."""

from typing import Any
from urllib.parse import quote

from gateway.api.http.links import Linker
from gateway.store.rules.layers import Layer
from gateway.store.vm_insert import AppliancePath


def layer(links: Linker, ground: AppliancePath, one: Layer) -> dict[str, Any]:
    """A layer with its VMs."""
    appliance = appliance_path(ground.virtualdatacenter_id, ground.id)
    return {
        "name": one.name,
        "links": [
            links.link("edit", layer_path(appliance, one.name), "layer", title=one.name),
            links.link("virtualappliance", appliance, "virtualappliance"),
            *(
                links.link(
                    "virtualmachine",
                    f"{appliance}/virtualmachines/{vm_id}",
                    "virtualmachine",
                    title=label,
                )
                for vm_id, label in one.vms
            ),
        ],
    }


def appliance_path(virtualdatacenter_id: int, virtualappliance_id: int) -> str:
    """Where an appliance is, below /api."""
    return (
        f"cloud/virtualdatacenters/{virtualdatacenter_id}/virtualappliances/{virtualappliance_id}"
    )


def layer_path(appliance: str, name: str) -> str:
    """Where a layer of an appliance is; names are texts of people."""
    return f"{appliance}/layers/{quote(name, safe='')}"
