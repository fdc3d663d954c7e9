"""What runs inside a VM by its agent: extensions and commands. They do nothing here."""

import copy

from tests.lab.azure.cloud import Cloud, Resource, Vm, merge
from tests.lab.azure.operations import accepted
from tests.lab.azure.replies import Call, Reply, resource_not_found
from tests.lab.azure.views import EXTENSIONS


def put(cloud: Cloud, call: Call) -> Reply:
    """Adds one to a VM."""
    vm = cloud.find_vm(call)
    one = Resource(EXTENSIONS, call.id, {}, vm.group)
    one.body = {"name": one.name, "id": one.id, "type": EXTENSIONS, "location": vm.location}
    one.body["properties"] = copy.deepcopy(call.body.get("properties") or {})
    one.properties.setdefault("autoUpgradeMinorVersion", False)
    cloud.put(one)
    return _begin(cloud, call, vm, one, "Creating")


def patch(cloud: Cloud, call: Call) -> Reply:
    """Changes one."""
    vm, one = cloud.find_vm(call), cloud.find(call, EXTENSIONS)
    merge(one.properties, call.body.get("properties") or {})
    return _begin(cloud, call, vm, one, "Updating")


def _begin(cloud: Cloud, call: Call, vm: Vm, one: Resource, state: str) -> Reply:
    one.properties["provisioningState"] = state

    def done() -> None:
        one.properties["provisioningState"] = "Succeeded"

    operation = cloud.begin(call.names["of"], one, location=vm.location, done=done)
    made = state == "Creating"
    reply = Reply(201 if made else 200, copy.deepcopy(one.body))
    return accepted(operation, call, reply, notify=made)


def get(cloud: Cloud, call: Call) -> Reply:
    """One of a VM's."""
    return Reply(200, cloud.find(call, EXTENSIONS).body)


def every(cloud: Cloud, call: Call) -> Reply:
    """All of a VM's."""
    vm = cloud.find_vm(call)
    return Reply(200, {"value": [one.body for one in cloud.below(vm, "extensions")]})


def delete(cloud: Cloud, call: Call) -> Reply:
    """Takes one from a VM."""
    vm, one = cloud.find_vm(call), cloud.get(call.id)
    if one is None:
        return Reply(204)
    operation = cloud.begin(
        call.names["of"], one, location=vm.location, done=lambda: cloud.remove(one)
    )
    return accepted(operation, call, Reply(202), result=True)


def run_command(cloud: Cloud, call: Call) -> Reply:
    """Runs a script in a VM that is on; its result says what it wrote."""
    vm = cloud.find_vm(call)
    if vm.power != "running":
        raise resource_not_found(vm.kind, call)
    operation = cloud.begin(call.names["of"], vm, location=vm.location)
    said = {"level": "Info", "displayStatus": "Provisioning succeeded", "message": ""}
    streams = ("StdOut", "StdErr")
    results = [{"code": f"ComponentStatus/{each}/succeeded", **said} for each in streams]
    operation.output = {"value": results}
    return accepted(operation, call, Reply(202), result=True, notify=False)


_VM = (
    "/subscriptions/{subscription}/resourceGroups/{group}"
    "/providers/Microsoft.Compute/virtualMachines/{vm}"
)
_ONE = f"{_VM}/extensions/{{name}}"
ROUTES = (
    ("PUT extension", _ONE, "UpdateVM", put),
    ("PATCH extension", _ONE, "UpdateVM", patch),
    ("GET extension", _ONE, "LowCostGet", get),
    ("DELETE extension", _ONE, "UpdateVM", delete),
    ("GET extensions", f"{_VM}/extensions", "LowCostGet", every),
    ("POST runCommand", f"{_VM}/runCommand", "UpdateVM", run_command),
)
