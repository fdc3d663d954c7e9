"""A VM on the wire: Abiquo's fields and links, and the overlays that say more than its state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drivers.capabilities import Capabilities
from gateway.api.http.links import Linker
from gateway.api.representations.decisions import decision_link
from gateway.api.representations.layers import appliance_path, layer_path
from gateway.api.representations.tasks import vm_path
from gateway.api.representations.tiers import offered_link
from gateway.api.representations.vm_actions import RELOCATE, actions, power_allowed
from gateway.caller import Caller
from gateway.lifecycle import Operation, VmState, public_reason
from gateway.store.nics import StoredNic
from gateway.store.vms import Vm

# Fields of Abiquo's that vmgate does not drive; they never change.
_CONSTANT: Mapping[str, Any] = {
    "type": "MANAGED",
    "idType": 1,
    "highDisponibility": 0,
    "monitored": False,
    "backuppolicies": [],
    "natrules": [],
    "usageStatistics": [],
    "generateGuestInitialPassword": False,
    "vdrpEnabled": False,
    "vdrpPort": 0,
    "password": "",
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who reads, over which links, and what each type of hypervisor can do."""

    links: Linker
    caller: Caller
    capabilities: Mapping[str, Capabilities]


def display_state(vm: Vm) -> str:
    """What people read: RELOCATING and MAINTENANCE lie over the state."""
    if vm.open_kind == Operation.RELOCATE:
        return "RELOCATING"
    if vm.open_task is None and vm.protected and vm.state is not VmState.UNKNOWN:
        return "MAINTENANCE"
    return vm.shown_state.value


def virtual_machine(viewer: Viewer, vm: Vm, nics: Sequence[StoredNic]) -> dict[str, Any]:
    """The whole VM as this caller sees it."""
    return {
        "id": vm.id,
        "uuid": str(vm.uuid),
        "name": vm.name,
        "label": vm.label,
        "description": vm.description,
        "cpu": vm.cpu,
        "coresPerSocket": vm.cores_per_socket,
        "ram": vm.ram_mib,
        "state": vm.shown_state.value,
        "idState": vm.shown_state.number,
        "displayState": display_state(vm),
        **_CONSTANT,
        "deallocated": vm.deallocated,
        "stateReason": state_reason(viewer.caller, vm),
        "variables": vm.extra.get("variables", {}),
        "creationTimestamp": _milliseconds(vm.created_at),
        "lastSynchronize": _milliseconds(vm.synchronized_at or vm.created_at),
        **_protection(vm),
        **_overlay(vm),
        "links": _links(viewer, vm, nics),
    }


def state_reason(caller: Caller, vm: Vm) -> str:
    """Why the hypervisor has the VM in its state, empty when the state says it all.

    The hypervisor's own words follow a colon. They may name places, so only callers who see hosts
    read them.
    """
    return vm.state_reason if caller.sees_hosts else public_reason(vm.state_reason)


def virtual_machine_state(viewer: Viewer, vm: Vm) -> dict[str, Any]:
    """The body of GET state."""
    links = viewer.links
    return {
        "state": vm.shown_state.value,
        "deallocated": vm.deallocated,
        "stateReason": state_reason(viewer.caller, vm),
        "links": [
            links.link("parent", vm_path(vm), "virtualmachine", title=vm.name),
            links.link("edit", f"{vm_path(vm)}/state", "virtualmachinestate", title=vm.name),
        ],
    }


def _protection(vm: Vm) -> dict[str, Any]:
    fields: dict[str, Any] = {"protected": vm.protected}
    if vm.protected:
        fields["protectedCause"] = vm.protected_cause
        fields["protectedBy"] = vm.extra.get("protected_by", "")
        fields["protectedAt"] = vm.extra.get("protected_at")
    return fields


def _overlay(vm: Vm) -> dict[str, Any]:
    """What lies below LOCKED and UNKNOWN."""
    fields: dict[str, Any] = {}
    if vm.open_since is not None:
        fields["previousState"] = vm.state.value
        fields["lockedSince"] = _milliseconds(vm.open_since)
        fields["progress"] = vm.open_progress
    if vm.state is VmState.UNKNOWN:
        fields["lastKnownState"] = vm.known_state.value
    return fields


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _links(viewer: Viewer, vm: Vm, nics: Sequence[StoredNic]) -> list[dict[str, Any]]:
    link, path = viewer.links.link, vm_path(vm)
    found = [
        link("edit", path, "virtualmachine", title=vm.label),
        link(
            "state",
            f"{path}/state",
            "virtualmachinestate",
            title=vm.shown_state.value,
            allowed=power_allowed(vm, viewer.caller),
        ),
        link("tasks", f"{path}/tasks", "tasks"),
        link("events", f"{path}/events", "events"),
        link("nics", f"{path}/network/nics", "nics"),
        link("harddisks", f"{path}/storage/disks", "harddisks"),
        link("volumes", f"{path}/storage/volumes", "volumes"),
        link("metadata", f"{path}/metadata", "metadata"),
        link("tags", f"{path}/tags", "tags"),
        *_belongings(viewer.links, vm),
        *(_nic_link(viewer.links, vm, nic) for nic in nics),
    ]
    if vm.host_id is not None and (
        viewer.caller.sees_hosts or RELOCATE in viewer.caller.privileges
    ):
        machine = f"admin/datacenters/{vm.datacenter_id}/racks/{vm.rack_id}/machines/{vm.host_id}"
        found.append(link("machine", machine, "machine", title=vm.host_name))
    if vm.decision_id is not None:
        found.append(decision_link(viewer.links, vm.decision_id))
    found.extend(_groups(viewer.links, vm))
    if vm.open_task is not None:
        found.append(link("operation", f"{path}/tasks/{vm.open_task}", "task", title=vm.open_kind))
    found.extend(
        link(each.rel, f"{path}/{each.path}", each.media, title=each.title, allowed=each.allowed)
        for each in actions(vm, viewer.caller, viewer.capabilities)
    )
    return found


def _belongings(links: Linker, vm: Vm) -> list[dict[str, Any]]:
    link, enterprise = links.link, f"admin/enterprises/{vm.enterprise_id}"
    vdc = f"cloud/virtualdatacenters/{vm.virtualdatacenter_id}"
    appliance = f"{vdc}/virtualappliances/{vm.virtualappliance_id}"
    template = (
        f"{enterprise}/datacenterrepositories/{vm.datacenter_id}"
        f"/virtualmachinetemplates/{vm.template_id}"
    )
    return [
        link("location", f"cloud/locations/{vm.datacenter_id}", "datacenter", vm.datacenter_name),
        link("enterprise", enterprise, "enterprise", vm.enterprise_name),
        link("user", f"{enterprise}/users/{vm.user_id}", "user", vm.user_nick),
        link("virtualdatacenter", vdc, "virtualdatacenter", vm.virtualdatacenter_name),
        link("virtualappliance", appliance, "virtualappliance", vm.virtualappliance_name),
        link("virtualmachinetemplate", template, "virtualmachinetemplate", vm.template_name),
        link("hypervisortype", f"config/hypervisortypes/{vm.type}", "hypervisortype", vm.type),
    ]


def _groups(links: Linker, vm: Vm) -> list[dict[str, Any]]:
    """The tier its disks are in or ask for, and its anti-affinity layer."""
    found = []
    if vm.tier_id is not None:
        found.append(
            offered_link(links, "datastoretier0", vm.datacenter_id, vm.tier_id, vm.tier_name)
        )
    if vm.layer_name is not None:
        appliance = appliance_path(vm.virtualdatacenter_id, vm.virtualappliance_id)
        path = layer_path(appliance, vm.layer_name)
        found.append(links.link("layer", path, "layer", title=vm.layer_name))
    return found


def _nic_link(links: Linker, vm: Vm, nic: StoredNic) -> dict[str, Any]:
    return links.link(f"nic{nic.n}", nic_path(nic), "privateip", title=_address(vm, nic))


def _address(vm: Vm, nic: StoredNic) -> str:
    """A deallocated VM has no addresses until it starts again."""
    return "" if vm.deallocated else nic.address


def nic_path(nic: StoredNic) -> str:
    """The path of an interface's address."""
    return (
        f"cloud/virtualdatacenters/{nic.virtualdatacenter_id}"
        f"/privatenetworks/{nic.network_id}/ips/{nic.id}"
    )


def private_ip(links: Linker, vm: Vm, nic: StoredNic) -> dict[str, Any]:
    """An interface with its address, as Abiquo calls it."""
    vdc = f"cloud/virtualdatacenters/{nic.virtualdatacenter_id}"
    network = f"{vdc}/privatenetworks/{nic.network_id}"
    return {
        "id": nic.id,
        "ip": _address(vm, nic),
        "mac": nic.mac,
        "name": f"nic{nic.n}",
        "sequence": nic.n,
        "networkName": nic.network_name,
        "available": True,
        "quarantine": False,
        "ipv6": ":" in nic.address,
        "links": [
            links.link(
                "self", nic_path(nic), "privateip", title=_address(vm, nic) or f"nic{nic.n}"
            ),
            links.link("privatenetwork", network, "vlan", title=nic.network_name),
            links.link("virtualdatacenter", vdc, "virtualdatacenter"),
            links.link("virtualmachine", vm_path(vm), "virtualmachine", title=vm.name),
        ],
    }
