"""Which call is which: the paths ARM knows here, their names, limits and handlers."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.lab.azure import extensions, hosts, networks, power, vms
from tests.lab.azure.cloud import Cloud
from tests.lab.azure.replies import Call, Reply, arm_fault

Handler = Callable[[Cloud, Call], Reply]
_SUBSCRIPTION = "/subscriptions/{subscription}"
_GROUP = f"{_SUBSCRIPTION}/resourceGroups/{{group}}"
_COMPUTE = "/providers/Microsoft.Compute"
_NETWORK = f"{_GROUP}/providers/Microsoft.Network"
_VM = f"{_GROUP}{_COMPUTE}/virtualMachines/{{vm}}"
_REGION = f"{_SUBSCRIPTION}{_COMPUTE}/locations/{{location}}"


@dataclass(frozen=True, slots=True)
class Route:
    """One call: `of` is its name in counts and faults, `limit` the bucket it is charged to."""

    method: str
    path: re.Pattern[str]
    of: str
    limit: str
    handler: Handler
    words: dict[str, str]


def _route(spec: str, path: str, limit: str, handler: Handler, **words: str) -> Route:
    method = spec.partition(" ")[0]
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path.replace(".", r"\."))
    return Route(method, re.compile(pattern, re.IGNORECASE), spec, limit, handler, words)


def _put_group(cloud: Cloud, call: Call) -> Reply:
    there = call.names["group"].lower() in cloud.groups
    body = cloud.add_group(call.names["group"], str(call.body.get("location", "eastus")))
    return Reply(200 if there else 201, body, compact=True)


def _get_group(cloud: Cloud, call: Call) -> Reply:
    return Reply(200, cloud.group(call), compact=True)


def _poll(cloud: Cloud, call: Call) -> Reply:
    operation = cloud.operation(call)
    headers = {}
    if cloud.pace.retry_after_s is not None and operation.status == "InProgress":
        headers["Retry-After"] = str(cloud.pace.retry_after_s)
    if call.query.get("monitor") != "true":
        return Reply(200, operation.body(), headers)
    if operation.status == "InProgress":
        headers["Location"] = operation.url(call, monitor=True)
        return Reply(202, None, headers)
    if operation.error:
        return Reply(409, {"error": operation.error})
    return Reply(200, operation.output, compact=True)


def _permissions(cloud: Cloud, call: Call) -> Reply:
    cloud.group(call)
    return cloud.rights.shown()


def _locks(cloud: Cloud, call: Call) -> Reply:
    cloud.group(call)
    return Reply(200, {"value": cloud.locks.near(cloud.group(call)["id"])}, compact=True)


def _skus(cloud: Cloud, call: Call) -> Reply:
    return Reply(200, cloud.sizes.listed(call.query.get("$filter", "")), compact=True)


def _usages(cloud: Cloud, call: Call) -> Reply:
    return Reply(200, cloud.sizes.usages(call.names["location"].lower()))


def _sizes(cloud: Cloud, call: Call) -> Reply:
    if "location" in call.names:
        return Reply(200, cloud.sizes.as_vm_sizes(call.names["location"].lower()))
    vm = cloud.find_vm(call)
    return Reply(200, cloud.sizes.as_vm_sizes(vm.location.lower(), allocated=vm.allocated))


def _network_routes() -> list[Route]:
    found = []
    for name, path, kind in (
        ("network", f"{_NETWORK}/virtualNetworks", networks.NETWORKS),
        ("subnet", f"{_NETWORK}/virtualNetworks/{{network}}/subnets", networks.SUBNETS),
        ("nic", f"{_NETWORK}/networkInterfaces", networks.INTERFACES),
        ("address", f"{_NETWORK}/publicIPAddresses", networks.ADDRESSES),
        ("disk", f"{_GROUP}{_COMPUTE}/disks", vms.DISKS),
    ):
        one = f"{path}/{{name}}"
        found += [
            _route(f"GET {name}", one, "", partial(networks.get, kind=kind)),
            _route(f"DELETE {name}", one, "", partial(networks.delete, kind=kind)),
            _route(f"GET {name}s", path, "", partial(networks.every, kind=kind)),
        ]
        if name == "disk":
            found.append(_route("PATCH disk", one, "", vms.patch_disk))
        else:
            found.append(_route(f"PUT {name}", one, "", partial(networks.put, kind=kind)))
            everywhere = path.replace(_GROUP, _SUBSCRIPTION)
            every = partial(networks.every, kind=kind)
            found.append(_route(f"GET all {name}s", everywhere, "", every))
    return found


def _action_routes() -> list[Route]:
    found = []
    for action, limit, handler in (
        ("start", "UpdateVM", power.act),
        ("powerOff", "UpdateVM", power.act),
        ("restart", "UpdateVM", power.act),
        ("reapply", "UpdateVM", power.act),
        ("redeploy", "UpdateVM", power.act),
        ("deallocate", "DeleteVM", power.act),
        ("simulateEviction", "DeleteVM", power.simulate_eviction),
        ("performMaintenance", "UpdateVM", power.refused),
        ("convertToManagedDisks", "UpdateVM", power.refused),
        ("reimage", "UpdateVM", power.refused),
    ):
        path = f"{_VM}/{action}"
        found.append(_route(f"POST {action}", path, limit, handler, action=action))
    return found


ROUTES = [
    _route(
        "GET permissions",
        f"{_GROUP}/providers/Microsoft.Authorization/permissions",
        "",
        _permissions,
    ),
    _route("GET locks", f"{_GROUP}/providers/Microsoft.Authorization/locks", "", _locks),
    _route("PUT group", _GROUP, "", _put_group),
    _route("GET group", _GROUP, "", _get_group),
    *_network_routes(),
    _route("PUT vm", _VM, "PutVM", vms.put),
    _route("PATCH vm", _VM, "PutVM", vms.patch),
    _route("DELETE vm", _VM, "DeleteVM", vms.delete),
    _route("GET vm", _VM, "LowCostGet", vms.get),
    _route("GET instanceView", f"{_VM}/instanceView", "LowCostGet", vms.instance_view),
    _route("GET sizes of vm", f"{_VM}/vmSizes", "LowCostGet", _sizes),
    *_action_routes(),
    _route("GET vms", f"{_GROUP}{_COMPUTE}/virtualMachines", "HighCostGet", vms.listed),
    _route("GET all vms", f"{_SUBSCRIPTION}{_COMPUTE}/virtualMachines", "", vms.listed),
    _route("GET vms of location", f"{_REGION}/virtualMachines", "HighCostGet", vms.listed),
    _route("GET skus", f"{_SUBSCRIPTION}{_COMPUTE}/skus", "", _skus),
    _route("GET usages", f"{_REGION}/usages", "GetSubscriptionInfo", _usages),
    _route("GET sizes", f"{_REGION}/vmSizes", "GetSubscriptionInfo", _sizes),
    _route("GET poll", f"{_REGION}/operations/{{operation}}", "GetOperation", _poll),
    _route(
        "GET poll of network",
        f"{_SUBSCRIPTION}/providers/Microsoft.Network/locations/{{location}}/operations/{{operation}}",
        "",
        _poll,
    ),
    *(_route(*each) for each in (*extensions.ROUTES, *hosts.ROUTES)),
]


def find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route of a call and what its path names; ARM's refusal when there is none."""
    methods = set()
    for route in ROUTES:
        matched = route.path.fullmatch(path)
        if matched is None:
            continue
        methods.add(route.method)
        if route.method == method:
            return route, {**matched.groupdict(), **route.words, "of": route.of}
    if methods:
        raise arm_fault(405, "HttpMethodNotSupported", f"{method} is not supported for {path}.")
    raise arm_fault(404, "InvalidResourceType", f"No resource type here answers to {path}.")
