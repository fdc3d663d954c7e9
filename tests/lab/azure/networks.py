"""Virtual networks, subnets, interfaces and public addresses: made, shown, deleted.

Dynamic addresses are an interface's own until its VM is deallocated, which empties them; the next
start gives others.
"""

import copy
import ipaddress
import math
import time
from typing import Any

from tests.lab.azure.cloud import Cloud, Resource, Vm, etag, merge
from tests.lab.azure.operations import accepted
from tests.lab.azure.replies import Body, Call, Reply, arm_fault, fault, new_id

NETWORKS = "Microsoft.Network/virtualNetworks"
SUBNETS = "Microsoft.Network/virtualNetworks/subnets"
INTERFACES = "Microsoft.Network/networkInterfaces"
ADDRESSES = "Microsoft.Network/publicIPAddresses"
_PROVIDER = "Microsoft.Network"


def get(cloud: Cloud, call: Call, kind: str) -> Reply:
    """One of them."""
    found = cloud.find(call, kind)
    head = {} if "etag" not in found.body else {"ETag": found.body["etag"]}
    return Reply(200, copy.deepcopy(found.body), head)


def every(cloud: Cloud, call: Call, kind: str) -> Reply:
    """Those of a group, or of the subscription."""
    inside = f"/resourcegroups/{call.names['group'].lower()}/" if "group" in call.names else ""
    if inside:
        cloud.group(call)
    found = [one for key, one in cloud.resources.items() if one.kind == kind and inside in key]
    return Reply(200, cloud.page(call, found, lambda one: one.body))


def put(cloud: Cloud, call: Call, kind: str) -> Reply:
    """Makes or changes one."""
    cloud.group(call)
    old = cloud.get(call.id)
    location = str(call.body.get("location", "eastus"))
    if kind == SUBNETS:
        network = cloud.find(call, NETWORKS, call.id.rpartition("/subnets/")[0])
        location = str(network.body["location"])
    elif "location" not in call.body:
        raise arm_fault(400, "LocationRequired", "The location property is required.")
    one = Resource(kind, call.id, {}, call.names["group"])
    one.body = {"name": one.name, "id": one.id, "etag": etag()}
    if kind != SUBNETS:
        one.body |= {"type": kind, "location": location}
    for word in ("tags", "sku", "zones"):
        if word in call.body:
            one.body[word] = copy.deepcopy(call.body[word])
    one.body["properties"] = {"provisioningState": "Updating"}
    _FILL[kind](cloud, one, copy.deepcopy(call.body.get("properties") or {}))
    if kind == SUBNETS:
        one.body["type"] = kind
    if old is not None and "virtualMachine" in old.properties:
        one.properties["virtualMachine"] = old.properties["virtualMachine"]
    cloud.put(one)

    def done() -> None:
        if kind != INTERFACES:
            one.body["etag"] = etag()
        one.properties["provisioningState"] = "Succeeded"

    operation = cloud.begin(call.names["of"], one, location=location, done=done, provider=_PROVIDER)
    operation.looks = 0
    if kind == INTERFACES and not operation.held and not operation.error:
        operation.finish()
    reply = Reply(200 if old else 201, copy.deepcopy(one.body))
    return accepted(operation, call, reply, notify=kind != SUBNETS)


def delete(cloud: Cloud, call: Call, kind: str) -> Reply:
    """Deletes one; 204 when it is not there."""
    cloud.group(call)
    one = cloud.get(call.id)
    if one is None:
        return Reply(204)
    if "virtualMachine" in one.properties:
        user = one.properties["virtualMachine"]["id"]
        raise fault(
            400, "NicInUse", f"Network Interface {one.id} is used by existing resource {user}."
        )
    unreserved(one)
    if "ipConfiguration" in one.properties:
        raise fault(
            400, "PublicIPAddressCannotBeDeleted", f"{one.id} is allocated to a configuration."
        )
    if kind == INTERFACES:
        _let_addresses_go(cloud, one)
    location = str(one.body.get("location", "eastus"))
    operation = cloud.begin(
        call.names["of"],
        one,
        location=location,
        done=lambda: cloud.remove(one),
        provider=_PROVIDER,
    )
    return accepted(operation, call, Reply(202), result=True, notify=True)


def _fill_network(cloud: Cloud, one: Resource, asked: Body) -> None:
    subnets = asked.pop("subnets", [])
    one.properties["resourceGuid"] = new_id()
    merge(one.properties, asked)
    one.properties.update(
        {"subnets": [], "virtualNetworkPeerings": [], "enableDdosProtection": False}
    )
    for each in subnets:
        subnet = Resource(SUBNETS, f"{one.id}/subnets/{each['name']}", {}, one.group)
        subnet.body = {"name": each["name"], "id": subnet.id, "etag": etag(), "properties": {}}
        _fill_subnet(cloud, subnet, each.get("properties") or {})
        subnet.properties["provisioningState"] = "Succeeded"
        subnet.body["type"] = SUBNETS
        cloud.put(subnet)
        one.properties["subnets"].append(subnet.body)


def _fill_subnet(cloud: Cloud, one: Resource, asked: Body) -> None:
    merge(one.properties, asked)
    one.properties["delegations"] = []
    one.properties["privateEndpointNetworkPolicies"] = "Enabled"
    one.properties["privateLinkServiceNetworkPolicies"] = "Enabled"


def _fill_address(cloud: Cloud, one: Resource, asked: Body) -> None:
    one.properties["resourceGuid"] = new_id()
    one.properties.update({"publicIPAddressVersion": "IPv4", "publicIPAllocationMethod": "Dynamic"})
    one.properties.update({"idleTimeoutInMinutes": 4, "ipTags": []})
    merge(one.properties, asked)
    one.body.setdefault("sku", {"name": "Basic", "tier": "Regional"})
    if one.properties["publicIPAllocationMethod"] == "Static":
        one.properties["ipAddress"] = _new_public(cloud)


def _fill_interface(cloud: Cloud, one: Resource, asked: Body) -> None:
    one.properties["resourceGuid"] = new_id()
    one.properties["ipConfigurations"] = []
    for number, each in enumerate(asked.pop("ipConfigurations", [])):
        inner = each.get("properties") or {}
        subnet = cloud.get(str((inner.get("subnet") or {}).get("id", "")))
        if subnet is None:
            raise _no_reference(one, inner.get("subnet"))
        config: Body = {"provisioningState": "Succeeded", "primary": number == 0}
        config |= {"privateIPAllocationMethod": "Dynamic", "privateIPAddressVersion": "IPv4"}
        merge(config, inner)
        public = cloud.get(str((inner.get("publicIPAddress") or {}).get("id", "")))
        if "publicIPAddress" in inner and public is None:
            raise _no_reference(one, inner["publicIPAddress"])
        name = each.get("name", f"ipconfig{number + 1}")
        where = f"{one.id}/ipConfigurations/{name}"
        if public is not None:
            public.properties["ipConfiguration"] = {"id": where}
        one.properties["ipConfigurations"].append(
            {
                "name": name,
                "id": where,
                "etag": one.body["etag"],
                "type": f"{INTERFACES}/ipConfigurations",
                "properties": config,
            }
        )
        config.setdefault("privateIPAddress", _new_private(cloud, subnet))
    one.properties["dnsSettings"] = {
        "dnsServers": [],
        "appliedDnsServers": [],
        "internalDomainNameSuffix": "bx.internal.cloudapp.net",
    }
    one.properties.update({"enableAcceleratedNetworking": False, "enableIPForwarding": False})
    one.properties.update({"hostedWorkloads": [], "tapConfigurations": [], "nicType": "Standard"})
    merge(one.properties, asked)


_FILL: dict[str, Any] = {
    NETWORKS: _fill_network,
    SUBNETS: _fill_subnet,
    INTERFACES: _fill_interface,
    ADDRESSES: _fill_address,
}


def _no_reference(one: Resource, what: Body | None) -> Exception:
    message = f"Resource {(what or {}).get('id')} referenced by resource {one.id} was not found."
    return fault(400, "InvalidResourceReference", message)


def _new_private(cloud: Cloud, subnet: Resource) -> str:
    """Never one that was in use before: who keeps an old one shall notice."""
    hosts = ipaddress.ip_network(subnet.properties["addressPrefix"]).num_addresses
    first = ipaddress.ip_network(subnet.properties["addressPrefix"]).network_address
    given = cloud.given.get(subnet.id.lower(), 3) + 1
    if given >= hosts - 1:
        message = f"Subnet {subnet.name} does not have enough capacity for 1 IP addresses."
        raise fault(400, "SubnetIsFull", message)
    cloud.given[subnet.id.lower()] = given
    return str(first + given)


def _new_public(cloud: Cloud) -> str:
    cloud.given["public"] = cloud.given.get("public", 0) + 1
    return str(ipaddress.ip_address("20.0.0.0") + cloud.given["public"])


def interfaces(cloud: Cloud, vm: Vm) -> list[Resource]:
    """A VM's own."""
    profile = vm.properties.get("networkProfile") or {}
    found = [cloud.get(each["id"]) for each in profile.get("networkInterfaces", [])]
    return [one for one in found if one is not None]


def attach(cloud: Cloud, vm: Vm) -> None:
    """The VM's interfaces know it."""
    for one in interfaces(cloud, vm):
        one.properties["virtualMachine"] = {"id": vm.id}


def detach(cloud: Cloud, vm: Vm) -> None:
    """The VM is gone: its interfaces are free, or gone with it when they were to be."""
    profile = vm.properties.get("networkProfile") or {}
    for each in profile.get("networkInterfaces", []):
        one = cloud.get(each["id"])
        if one is None:
            continue
        one.properties.pop("virtualMachine", None)
        if not vm.power and cloud.pace.nic_reserved_s:
            one.reserved_for = vm.id
            one.reserved_until_s = time.monotonic() + cloud.pace.nic_reserved_s
        if (each.get("properties") or {}).get("deleteOption") == "Delete":
            _let_addresses_go(cloud, one)
            cloud.remove(one)


def unreserved(one: Resource, vm: str = "") -> None:
    """Passes unless an interface is kept for another VM, whose making failed."""
    left_s = math.ceil(one.reserved_until_s - time.monotonic())
    if left_s <= 0 or one.reserved_for.lower() == vm.lower():
        return
    raise fault(
        400,
        "NicReservedForAnotherVm",
        f"Nic(s) in request is reserved for another Virtual Machine for {left_s} seconds. Please "
        f"provide another nic(s) or retry after {left_s} seconds. Reserved VM: {one.reserved_for}",
    )


def give_addresses(cloud: Cloud, vm: Vm) -> None:
    """It is on: every configuration has its addresses."""
    for config, public in _configurations(cloud, vm):
        if "privateIPAddress" not in config:
            subnet = cloud.get(config["subnet"]["id"])
            if subnet is not None:
                config["privateIPAddress"] = _new_private(cloud, subnet)
        if public is not None and "ipAddress" not in public.properties:
            public.properties["ipAddress"] = _new_public(cloud)


def empty_addresses(cloud: Cloud, vm: Vm) -> None:
    """It is deallocated: dynamic addresses are nobody's any more."""
    for config, public in _configurations(cloud, vm):
        if config["privateIPAllocationMethod"] == "Dynamic":
            config.pop("privateIPAddress", None)
        if public is not None and public.properties["publicIPAllocationMethod"] == "Dynamic":
            public.properties.pop("ipAddress", None)


def _configurations(cloud: Cloud, vm: Vm) -> list[tuple[Body, Resource | None]]:
    found = []
    for one in interfaces(cloud, vm):
        for each in one.properties["ipConfigurations"]:
            config = each["properties"]
            public = cloud.get(str((config.get("publicIPAddress") or {}).get("id", "")))
            found.append((config, public))
    return found


def _let_addresses_go(cloud: Cloud, one: Resource) -> None:
    for each in one.properties["ipConfigurations"]:
        public = cloud.get(str((each["properties"].get("publicIPAddress") or {}).get("id", "")))
        if public is not None:
            public.properties.pop("ipConfiguration", None)
