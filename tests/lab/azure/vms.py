"""VMs as resources: made, changed, deleted, looked at, listed; `power` is how they run."""

import copy

from tests.lab.azure import networks, power, views
from tests.lab.azure.cloud import Cloud, Resource, Vm, at, merge
from tests.lab.azure.operations import accepted, now
from tests.lab.azure.replies import (
    Body,
    Call,
    Reply,
    arm_fault,
    fault,
    new_id,
    resource_not_found,
)

KIND = "Microsoft.Compute/virtualMachines"
DISKS = "Microsoft.Compute/disks"


def put(cloud: Cloud, call: Call) -> Reply:
    """Makes a VM, or changes one that is there."""
    group = cloud.group(call)
    old = cloud.get(call.id)
    if old is not None and call.headers.get("if-none-match") == "*":
        raise fault(412, "PreconditionFailed", f"The resource {call.id} exists.")
    if isinstance(old, Vm):
        return _change(cloud, call, old)
    if "location" not in call.body:
        raise arm_fault(400, "LocationRequired", "The location property is required.")
    vm = _new(cloud, call, group)
    words = {"size": vm.size, "zone": vm.zone}
    operation = cloud.begin(
        call.names["of"],
        vm,
        location=vm.location,
        done=lambda: _made(cloud, vm, well=True),
        failed=lambda: _made(cloud, vm, well=False),
        **words,
    )
    vm.operation = operation
    return accepted(operation, call, Reply(201, views.full(cloud, vm)))


def _new(cloud: Cloud, call: Call, group: Body) -> Vm:
    properties = copy.deepcopy(call.body.get("properties") or {})
    size, location = at(properties, "hardwareProfile", "vmSize"), str(call.body["location"])
    if not size:
        raise fault(400, "InvalidParameter", "Required parameter 'vmSize' is missing (null).")
    vm = Vm(KIND, call.id, {}, call.names["group"])
    vm.body = {"name": vm.name, "id": vm.id, "type": KIND, "location": location}
    for word in ("tags", "zones"):
        if word in call.body:
            vm.body[word] = copy.deepcopy(call.body[word])
    vm.body["properties"] = {"vmId": new_id(), **properties, "provisioningState": "Creating"}
    cards = (properties.get("networkProfile") or {}).get("networkInterfaces", [])
    for each in cards:
        card = cloud.get(str(each.get("id")))
        if card is None:
            message = f"Resource {each.get('id')} referenced by resource {vm.id} was not found."
            raise fault(400, "InvalidResourceReference", message)
        networks.unreserved(card, vm.id)
        if "virtualMachine" in card.properties:
            raise fault(400, "NicInUse", f"Network Interface {card.id} is used by another VM.")
    views.complete(vm)
    disk = vm.properties["storageProfile"]["osDisk"]
    if disk["createOption"] != "Attach" and cloud.get(_disk_id(vm, disk["name"])):
        message = (
            f"Disk {disk['name']} already exists in resource group {group['name']}. "
            "Only CreateOption.Attach is supported."
        )
        raise fault(409, "ConflictingUserInput", message)
    cloud.sizes.allow(size, location, vm.body.get("zones", []))
    cloud.sizes.take(size, location)
    cloud.put(vm)
    networks.attach(cloud, vm)
    return vm


def _disk_id(vm: Vm, name: str) -> str:
    return f"{vm.id.partition('/providers/')[0]}/providers/{DISKS}/{name}"


def _made(cloud: Cloud, vm: Vm, *, well: bool) -> None:
    """Its disks are there even when it found no place to run."""
    vm.properties["provisioningState"] = "Succeeded" if well else "Failed"
    storage = vm.properties["storageProfile"]
    for number, disk in enumerate([storage["osDisk"], *storage["dataDisks"]], start=1):
        disk.setdefault("name", f"{vm.name}_disk{number}_{new_id().replace('-', '')}")
        where = _disk_id(vm, disk["name"])
        disk["managedDisk"]["id"] = where
        if cloud.get(where) is None:
            body: Body = {"name": disk["name"], "id": where, "type": DISKS}
            body |= {"location": vm.location, "managedBy": vm.id}
            body["properties"] = {"provisioningState": "Succeeded", "diskState": "Attached"}
            if cloud.disks_inherit and vm.body.get("tags"):
                body["tags"] = dict(vm.body["tags"])
            cloud.put(Resource(DISKS, where, body, vm.group))
    if well:
        vm.power, vm.boots, vm.born = "running", 1, now()
        networks.give_addresses(cloud, vm)


def patch(cloud: Cloud, call: Call) -> Reply:
    """Changes a VM."""
    return _change(cloud, call, cloud.find_vm(call))


def patch_disk(cloud: Cloud, call: Call) -> Reply:
    """Changes the tags of a disk."""
    disk = cloud.find(call, DISKS)
    if "tags" in call.body:
        disk.body["tags"] = dict(call.body["tags"])
    location = str(disk.body["location"])
    operation = cloud.begin(call.names["of"], disk, location=location)
    return accepted(operation, call, Reply(202, copy.deepcopy(disk.body)))


def _change(cloud: Cloud, call: Call, vm: Vm) -> Reply:
    power.idle(vm)
    asked = call.body.get("properties") or {}
    size = at(asked, "hardwareProfile", "vmSize") or vm.size
    if size != vm.size:
        cloud.sizes.allow(size, vm.location, vm.body.get("zones", []))
        if not cloud.sizes.near(size, vm.allocated):
            message = f"Unable to resize the VM '{vm.name}' since the size {size} is not available "
            raise fault(409, "OperationNotAllowed", f"{message}in the current hardware cluster.")
        cloud.sizes.give(vm.size, vm.location)
        refused = cloud.sizes.over(size, vm.location)
        if refused:
            cloud.sizes.take(vm.size, vm.location)
            raise refused
        cloud.sizes.take(size, vm.location)
        vm.boots += vm.power == "running"
    for word in ("tags",):
        if word in call.body:
            vm.body[word] = copy.deepcopy(call.body[word])
    provisioning = vm.properties["provisioningState"]
    merge(vm.properties, {k: v for k, v in asked.items() if k not in ("osProfile", "vmId")})
    vm.properties["provisioningState"] = provisioning
    views.complete(vm)
    vm.properties["provisioningState"] = "Updating"
    operation = power.begin(cloud, call, vm, "", "")
    return accepted(operation, call, Reply(200, views.full(cloud, vm)))


def delete(cloud: Cloud, call: Call) -> Reply:
    """Deletes a VM, whatever else goes on with it; 204 when it is not there."""
    cloud.group(call)
    vm = cloud.get(call.id)
    if not isinstance(vm, Vm):
        return Reply(204)
    if vm.operation is not None:
        vm.operation.preempt()
    vm.properties["provisioningState"] = "Deleting"

    def failed() -> None:
        vm.properties["provisioningState"] = "Failed"

    operation = cloud.begin(
        call.names["of"],
        vm,
        location=vm.location,
        done=lambda: vanish(cloud, vm),
        failed=failed,
        size=vm.size,
        zone=vm.zone,
    )
    vm.operation = operation
    return accepted(operation, call, Reply(202), result=True)


def vanish(cloud: Cloud, vm: Vm) -> None:
    """The VM is gone; what it had stays unless it was to go with it."""
    if cloud.get(vm.id) is not vm:
        return
    storage = vm.properties["storageProfile"]
    for disk in (storage["osDisk"], *storage["dataDisks"]):
        found = cloud.get(str((disk.get("managedDisk") or {}).get("id", "")))
        if found is not None and disk.get("deleteOption") == "Delete":
            cloud.remove(found)
        elif found is not None:
            found.body.pop("managedBy", None)
            found.properties["diskState"] = "Unattached"
    networks.detach(cloud, vm)
    cloud.remove(vm)
    cloud.sizes.give(vm.size, vm.location)


def get(cloud: Cloud, call: Call) -> Reply:
    """The VM, with its instance view when asked."""
    vm = cloud.find_vm(call)
    cloud.look(vm)
    if cloud.get(vm.id) is None:
        raise resource_not_found(KIND, call)
    return Reply(200, views.full(cloud, vm, instance="instanceview" in _expand(call)))


def _expand(call: Call) -> str:
    return call.query.get("$expand", "").lower()


def instance_view(cloud: Cloud, call: Call) -> Reply:
    """How it runs."""
    vm = cloud.find_vm(call)
    cloud.look(vm)
    return Reply(200, views.instance_view(cloud, vm))


def listed(cloud: Cloud, call: Call) -> Reply:
    """Those of a group, of a location, or of the subscription."""
    vms = list(cloud.vms())
    for vm in vms:
        cloud.look(vm)
    group, location = call.names.get("group", "").lower(), call.names.get("location", "").lower()
    if group:
        cloud.group(call)
    found = [
        vm
        for vm in cloud.vms()
        if (not group or vm.group.lower() == group)
        and (not location or vm.location.lower() == location)
    ]
    status = call.query.get("statusonly", "").lower() == "true"

    def show(vm: Vm) -> Body:
        body = views.status_only(vm) if status else views.full(cloud, vm, listed=True)
        return body if group else views.shout(body, vm)

    headers = {} if group or location else {"x-ms-original-request-ids": new_id()}
    compact = not group and not location
    return Reply(200, cloud.page(call, found, show), headers, compact)
