"""Requests that ask for what is not offered, or contradict themselves: method, path, body, and the
field that the refusal names."""

from typing import Any
from uuid import UUID

from tests.api import vm_world

VDC = "cloud/virtualdatacenters/1"
APPLIANCE = f"{VDC}/virtualappliances/1"
MACHINES = "admin/datacenters/1/racks/1/machines"
ENTERPRISE = "admin/enterprises/1"
LOCATION = {"rel": "location", "href": f"{vm_world.ROOT}cloud/locations/1"}
DATACENTER = {"rel": "datacenter", "href": f"{vm_world.ROOT}admin/datacenters/1"}
NEW_VDC = {"name": "new", "hypervisorType": "KVM", "links": [LOCATION]}
HELD = {"cpu": 1, "ram": 128, "type": "KVM"}


REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("POST", vm_world.VMS, {"cpus": 8}, "cpus"),
    ("POST", vm_world.VMS, {"userData": "#!"}, "userData"),
    ("POST", vm_world.VMS, {"password": "x"}, "password"),
    ("POST", vm_world.VMS, {"protected": True}, "protected"),
    ("POST", vm_world.VMS, {"name": "mine"}, "name"),
    ("POST", vm_world.VMS, {"vdrpEnabled": True}, "vdrpEnabled"),
    ("POST", vm_world.VMS, {"backuppolicies": [{"links": [{"href": "x"}]}]}, "backuppolicies"),
    ("POST", "cloud/virtualdatacenters", {**NEW_VDC, "vmsHard": 1}, "vmsHard"),
    ("POST", "cloud/virtualdatacenters", {**NEW_VDC, "cpuCountSoftLimit": 4}, "cpuCountSoftLimit"),
    ("POST", "cloud/virtualdatacenters", {**NEW_VDC, "network": {"maks": 24}}, "network.maks"),
    (
        "POST",
        "cloud/virtualdatacenters",
        {**NEW_VDC, "network": {"address": "10.0.0.0", "primaryDNS": "8.8.8.8"}},
        "network.primaryDNS",
    ),
    ("PUT", VDC, {"name": "vdc", "vmsHard": 1}, "vmsHard"),
    ("PUT", VDC, {"name": "vdc", "hypervisorType": "VMX_04"}, "hypervisorType"),
    ("PUT", VDC, {"name": "vdc", "network": {"address": "10.9.9.0"}}, "network.address"),
    ("POST", f"{VDC}/virtualappliances", {"name": "x", "restricted": True}, "restricted"),
    ("PUT", APPLIANCE, {"name": "x", "publicApp": 1}, "publicApp"),
    ("PUT", ENTERPRISE, {"workflow": True}, "workflow"),
    ("PUT", ENTERPRISE, {"vmsHard": 1}, "vmsHard"),
    ("PUT", ENTERPRISE, {"HDSoft": 5}, "HDSoft"),
    ("POST", f"{APPLIANCE}/action/deploy", {"forceEverything": True}, "forceEverything"),
    ("POST", f"{APPLIANCE}/action/undeploy", {"hold": "x"}, "hold"),
    ("POST", MACHINES, {"name": "x", "ip": "a", "type": "KVM", "user": "root"}, "user"),
    (
        "POST",
        MACHINES,
        {"name": "x", "ip": "a", "type": "KVM", "datastores": {"collection": [{"nmae": "x"}]}},
        "datastores.collection[0].nmae",
    ),
    ("PUT", f"{MACHINES}/1", {"hypervisor": "other"}, "hypervisor"),
    ("PUT", "admin/datacenters/1/datastores/1", {"enabled": True, "name": "new"}, "name"),
    ("POST", "admin/holds", {"tll": 5}, "tll"),
    (
        "POST",
        "admin/holds",
        {"ttl": 5, "links": [DATACENTER], "virtualmachines": [{**HELD, "gpu": 1}]},
        "virtualmachines[0].gpu",
    ),
    ("POST", "admin/plans", {"kind": "rebalance", "links": [DATACENTER], "moves": 1}, "moves"),
    ("POST", "admin/rules/fitsPolicy", {"fitPolicy": "PERFORMANCE", "packin": True}, "packin"),
    (
        "POST",
        "admin/rules",
        {"fitPolicyRules": [{"fitPolicy": "PERFORMANCE", "packin": True}]},
        "fitPolicyRules[0].packin",
    ),
    ("POST", "admin/rulesets", {"fitPolicyRule": []}, "fitPolicyRule"),
    ("PUT", ENTERPRISE, {"links": [{"rel": "edit", "hreff": "x"}]}, "links[0].hreff"),
]


CONTRADICTIONS: list[tuple[str, str, dict[str, Any], str]] = [
    ("PUT", "{vm}/state", {"state": "OFF", "forceAfter": 5}, "forceAfter"),
    ("POST", "{vm}/state", {"state": "OFF", "forceAfter": 5}, "forceAfter"),
    (
        "PUT",
        "{vm}/state",
        {"state": "OFF", "gracefulShutdown": False, "forceAfter": 5},
        "forceAfter",
    ),
    ("PUT", "{vm}/state", {"state": "ON", "forceAfter": 5}, "forceAfter"),
    ("PUT", "{vm}/state", {"state": "ON", "gracefulShutdown": True}, "gracefulShutdown"),
    ("PUT", "{vm}/state", {"state": "PAUSED", "gracefulShutdown": True}, "gracefulShutdown"),
    ("PUT", "{vm}/state", {"state": "ON", "azureMode": "deallocate"}, "azureMode"),
    ("PUT", "{vm}/state", {"state": "PAUSED", "azureMode": "powerOff"}, "azureMode"),
    (
        "POST",
        "{vm}/action/relocate?target=any",
        {"links": [{"rel": "machine", "href": f"{vm_world.ROOT}{MACHINES}/2"}]},
        "links[machine]",
    ),
    ("POST", "{vm}/action/relocate?target=any", {"hold": str(UUID(int=1))}, "hold"),
    (
        "POST",
        "{vm}/action/relocate",
        {
            "hold": str(UUID(int=1)),
            "links": [{"rel": "machine", "href": f"{vm_world.ROOT}{MACHINES}/2"}],
        },
        "links[machine]",
    ),
    (
        "POST",
        "admin/plans",
        {
            "kind": "drain",
            "movesMaxPercent": 5,
            "links": [{"rel": "machine", "href": f"{vm_world.ROOT}{MACHINES}/2"}],
        },
        "movesMaxPercent",
    ),
    ("POST", "admin/plans", {"kind": "rebalance", "savedMin": 2}, "savedMin"),
    ("POST", "admin/plans", {"kind": "consolidate", "gainMinPercent": 2}, "gainMinPercent"),
    (
        "POST",
        MACHINES,
        {"name": "x", "ip": "10.0.0.9", "hypervisor": "sim", "type": "VMX_04"},
        "type",
    ),
    (
        "POST",
        MACHINES,
        {"name": "x", "ip": "10.0.0.9", "ipService": "10.0.0.8", "type": "KVM"},
        "ipService",
    ),
]
