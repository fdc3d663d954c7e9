"""Dedicated hosts and their groups: made, looked at, changed, deleted; no VM runs on one here."""

import copy

from tests.lab.azure.cloud import Cloud, Resource, merge
from tests.lab.azure.operations import accepted, now
from tests.lab.azure.replies import Body, Call, Reply, fault, new_id

GROUPS = "Microsoft.Compute/hostGroups"
HOSTS = "Microsoft.Compute/hostGroups/hosts"
# What an empty host of a kind has room for.
_ROOM = {
    "DSv3-Type1": {
        "Standard_D2s_v3": 32,
        "Standard_D4s_v3": 17,
        "Standard_D8s_v3": 8,
        "Standard_D16s_v3": 4,
        "Standard_D32s_v3": 2,
        "Standard_D48s_v3": 1,
        "Standard_D64s_v3": 1,
    }
}
_WORDS = ("location", "tags", "zones", "sku")


def _make(call: Call, kind: str) -> Resource:
    one = Resource(kind, call.id, {}, call.names["group"])
    one.body = {"name": one.name, "id": one.id, "type": kind}
    one.body |= {word: copy.deepcopy(call.body[word]) for word in _WORDS if word in call.body}
    if kind == GROUPS:
        one.body["id"] = _shouted(call.id, call)
    one.body["properties"] = copy.deepcopy(call.body.get("properties") or {})
    return one


def _shouted(resource_id: str, call: Call) -> str:
    """A host group writes its resource group in capitals, whoever asks."""
    name = call.names["group"]
    return resource_id.replace(f"/resourceGroups/{name}/", f"/resourceGroups/{name.upper()}/")


def put_group(cloud: Cloud, call: Call) -> Reply:
    """Makes or changes a group, at once."""
    cloud.group(call)
    there = cloud.get(call.id)
    one = _make(call, GROUPS)
    one.properties["supportAutomaticPlacement"] = False
    cloud.put(one)
    return Reply(200 if there else 201, one.body)


def patch_group(cloud: Cloud, call: Call) -> Reply:
    """Changes a group."""
    one = cloud.find(call, GROUPS)
    merge(one.body, {k: v for k, v in call.body.items() if k in ("tags", "properties")})
    return Reply(200, one.body)


def get_group(cloud: Cloud, call: Call) -> Reply:
    """A group with its hosts, and how they are when asked."""
    one = cloud.find(call, GROUPS)
    body = copy.deepcopy(one.body)
    found = cloud.below(one, "hosts")
    body["properties"]["hosts"] = [{"id": _listed(host, call)} for host in found]
    if _expands(call):
        views = [{"name": host.name, **_view(host)} for host in found]
        body["properties"]["instanceView"] = {"hosts": views}
    return Reply(200, body)


def _listed(host: Resource, call: Call) -> str:
    before, _, after = _shouted(host.id, call).partition("/hostGroups/")
    return f"{before}/hostGroups/{after.upper().replace('/HOSTS/', '/hosts/')}"


def delete_group(cloud: Cloud, call: Call) -> Reply:
    """Deletes an empty group, at once."""
    cloud.group(call)
    one = cloud.get(call.id)
    if one is None:
        return Reply(204)
    if cloud.below(one, "hosts"):
        message = f"Dedicated host group '{one.name}' cannot be deleted: it has hosts."
        raise fault(409, "OperationNotAllowed", message)
    cloud.remove(one)
    return Reply(200)


def put_host(cloud: Cloud, call: Call) -> Reply:
    """Makes a host in a group."""
    cloud.find(call, GROUPS, call.id.rpartition("/hosts/")[0])
    one = _make(call, HOSTS)
    one.properties.update({"autoReplaceOnFailure": True, "hostId": new_id()})
    return _begin(cloud, call, one, "Creating", 201)


def patch_host(cloud: Cloud, call: Call) -> Reply:
    """Changes a host."""
    one = cloud.find(call, HOSTS)
    merge(one.body, {k: v for k, v in call.body.items() if k in ("tags", "properties")})
    return _begin(cloud, call, one, "Updating", 200)


def _begin(cloud: Cloud, call: Call, one: Resource, state: str, status: int) -> Reply:
    one.properties["provisioningState"] = state
    cloud.put(one)

    def done() -> None:
        one.properties.setdefault("provisioningTime", now())
        one.properties["provisioningState"] = "Succeeded"

    def failed() -> None:
        one.properties["provisioningState"] = "Failed"

    location = str(one.body["location"])
    operation = cloud.begin(call.names["of"], one, location=location, done=done, failed=failed)
    return accepted(operation, call, Reply(status, copy.deepcopy(one.body)))


def get_host(cloud: Cloud, call: Call) -> Reply:
    """A host, with the room it has when asked."""
    one = cloud.find(call, HOSTS)
    body = copy.deepcopy(one.body)
    body["properties"]["virtualMachines"] = []
    if _expands(call):
        body["properties"]["instanceView"] = _view(one)
    return Reply(200, body)


def delete_host(cloud: Cloud, call: Call) -> Reply:
    """Deletes a host."""
    cloud.group(call)
    one = cloud.get(call.id)
    if one is None:
        return Reply(204)
    location = str(one.body["location"])
    operation = cloud.begin(
        call.names["of"], one, location=location, done=lambda: cloud.remove(one)
    )
    return accepted(operation, call, Reply(202), result=True)


def _expands(call: Call) -> bool:
    return call.query.get("$expand", "").lower() == "instanceview"


def _view(host: Resource) -> Body:
    room = _ROOM.get(str(host.body["sku"]["name"]), {})
    status = {"level": "Info", "code": "ProvisioningState/succeeded"}
    status |= {"displayStatus": "Provisioning succeeded", "time": now()}
    health = {"code": "HealthState/available", "level": "Info", "displayStatus": "Host available"}
    return {
        "assetId": host.properties["hostId"],
        "availableCapacity": {
            "allocatableVMs": [{"vmSize": size, "count": count} for size, count in room.items()]
        },
        "statuses": [status, health],
    }


_GROUP = (
    "/subscriptions/{subscription}/resourceGroups/{group}"
    "/providers/Microsoft.Compute/hostGroups/{hostgroup}"
)
_HOST = f"{_GROUP}/hosts/{{host}}"
_WRITES, _READS = "PutDeleteDedicatedHost", "GetDedicatedHost"
ROUTES = (
    ("PUT hostgroup", _GROUP, _WRITES, put_group),
    ("PATCH hostgroup", _GROUP, _WRITES, patch_group),
    ("GET hostgroup", _GROUP, _READS, get_group),
    ("DELETE hostgroup", _GROUP, _WRITES, delete_group),
    ("PUT host", _HOST, _WRITES, put_host),
    ("PATCH host", _HOST, _WRITES, patch_host),
    ("GET host", _HOST, _READS, get_host),
    ("DELETE host", _HOST, _WRITES, delete_host),
)
