"""Changes of a VM that need no task: each is one transaction that also puts its event out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

from drivers.capabilities import Capabilities
from gateway.api.access import conflict, readable, require_free, require_unprotected
from gateway.api.request_bodies import VmBody, id_of, invalid, refuse_hardware
from gateway.api.vms.sizes import require_size
from gateway.api.vms.vm_grouping import group, join, tier_named
from gateway.caller import Caller
from gateway.config.privileges import Privilege
from gateway.denial import ApiError, ErrorKind
from gateway.events.event import Event, Severity, emit
from gateway.lifecycle import Operation, VmState
from gateway.store import nics, vm_insert, vms
from gateway.store.capacity import bookings
from gateway.store.db.pool import Connection, Store
from gateway.store.rules import tiers
from gateway.store.vm_insert import AppliancePath, NewVm, TemplateSpec
from gateway.store.vms import Edit, Vm
from gateway.tasks.outcome.forget_vm import DELETE, on_record
from gateway.tasks.submission import Accepted, Order, submit_in

PROTECTABLE = (VmState.ON, VmState.PAUSED, VmState.OFF)


@dataclass(frozen=True, slots=True)
class VmUpdater:
    """Who changes something, in which store, and what hypervisors can do by their types."""

    store: Store
    caller: Caller
    capabilities: Mapping[str, Capabilities] = field(default_factory=dict)


def _protection(vm: Vm) -> dict[str, object]:
    return {"protected": True, "protected_cause": vm.protected_cause} if vm.protected else {}


def vm_event(caller: Caller, vm: Vm, action: str, message: str) -> Event:
    """An event about a VM that says when a protected one was changed by who may."""
    return Event(
        "VIRTUAL_MACHINE",
        action,
        vm.id,
        message=message,
        enterprise_id=vm.enterprise_id,
        user_id=caller.user_id,
        user=caller.nick,
        entity_name=vm.name,
        # Once the VM is gone, this alone tells whose state may have changed.
        details={"virtualappliance_id": vm.virtualappliance_id, **_protection(vm)},
    )


async def create(writer: VmUpdater, ground: AppliancePath, body: VmBody) -> Vm:
    """Make a VM from the template the body links, with an interface; sizes default to the
    template's. ApiError names the field that is wrong, or says that addresses have run out."""
    template = body.link("virtualmachinetemplate")
    if template is None:
        raise invalid("links[virtualmachinetemplate]", "a link to a template is needed")
    refuse_hardware(body.links)
    layer, tier = body.link("layer"), body.link("datastoretier0")
    template_id = id_of(template, "virtualmachinetemplates")
    if body.cores_per_socket not in (None, 1):
        raise invalid("coresPerSocket", "only 1 is supported")
    async with writer.store.transaction() as c:
        pattern = await vm_insert.pattern(c, template_id)
        made = _new_vm(_usable(pattern, ground), ground, body, writer.caller)
        require_size(writer.capabilities.get(ground.type), made.cpu, made.ram_mib)
        vm_id = await vm_insert.insert(c, made)
        if vm_id is None:
            raise ApiError(ErrorKind.ABSENT, "VAPP-0", "The virtual appliance does not exist")
        await nics.attach(c, vm_id, made.uuid, ground.virtualdatacenter_id)
        if tier is not None:
            await tiers.ask(c, vm_id, await tier_named(c, tier, ground))
        vm = await _made(c, vm_id)
        if layer is not None:
            await join(c, vm, layer)
            vm = await _made(c, vm_id)
        await emit(c, vm_event(writer.caller, vm, "CREATE", f"{vm.label} was created"))
    return vm


async def _made(c: Connection, vm_id: int) -> Vm:
    vm = await vms.get(c, vm_id)
    assert vm is not None
    return vm


def _usable(pattern: TemplateSpec | None, ground: AppliancePath) -> TemplateSpec:
    """The template, if this appliance may use it."""
    rel = "links[virtualmachinetemplate]"
    if pattern is None or pattern.enterprise_id not in (None, ground.enterprise_id):
        raise ApiError(
            ErrorKind.ABSENT, "404-NOT-FOUND", f"{rel}: the template does not exist", field=rel
        )
    if pattern.datacenter_id != ground.datacenter_id:
        raise conflict("409-CONFLICT", f"{rel}: the template is in another datacenter", rel)
    if ground.type not in pattern.types:
        raise conflict("409-CONFLICT", f"{rel}: the template does not run on {ground.type}", rel)
    return pattern


def _new_vm(pattern: TemplateSpec, ground: AppliancePath, body: VmBody, caller: Caller) -> NewVm:
    return NewVm(
        uuid=uuid4(),
        virtualappliance_id=ground.id,
        template_id=pattern.id,
        user_id=caller.user_id,
        label=body.label or pattern.name,
        description=body.description or "",
        cpu=body.cpu or pattern.cpu,
        ram_mib=body.ram_mib or pattern.ram_mib,
        variables=body.variables or {},
    )


async def locked(c: Connection, writer: VmUpdater, vm_id: int) -> Vm:
    """The VM under lock, once no task and no protection stands in the way."""
    vm = readable(await vms.lock(c, vm_id), writer.caller)
    require_free(vm)
    require_unprotected(vm, writer.caller)
    return vm


async def edit(writer: VmUpdater, vm_id: int, body: VmBody) -> tuple[int, int] | None:
    """Write what can be written at once; the size (CPUs, MiB) that needs a task, or None.

    When a task is needed nothing is written here: its acceptance comes first.
    """
    async with writer.store.transaction() as c:
        vm = await locked(c, writer, vm_id)
        cpu, ram_mib = body.cpu or vm.cpu, body.ram_mib or vm.ram_mib
        if (cpu, ram_mib) != (vm.cpu, vm.ram_mib):
            require_size(writer.capabilities.get(vm.type), cpu, ram_mib)
        moved = await group(c, vm, body)
        if vm.state is not VmState.NOT_ALLOCATED and (cpu, ram_mib) != (vm.cpu, vm.ram_mib):
            if moved:
                raise invalid(f"links[{moved[0]}]", "change it and the size one after the other")
            return cpu, ram_mib
        await _write(c, writer, vm, _edited(vm, body, (cpu, ram_mib)), moved)
    return None


async def edit_words(writer: VmUpdater, vm_id: int, body: VmBody) -> None:
    """Write label, description and variables of a VM that a task of this caller resizes."""
    async with writer.store.transaction() as c:
        vm = readable(await vms.lock(c, vm_id), writer.caller)
        await _write(c, writer, vm, _edited(vm, body, (vm.cpu, vm.ram_mib)), ())


def _edited(vm: Vm, body: VmBody, size: tuple[int, int]) -> Edit:
    return Edit(
        label=vm.label if body.label is None else body.label,
        description=vm.description if body.description is None else body.description,
        cpu=size[0],
        ram_mib=size[1],
        variables=vm.extra.get("variables", {}) if body.variables is None else body.variables,
    )


async def _write(c: Connection, writer: VmUpdater, vm: Vm, to: Edit, moved: Sequence[str]) -> None:
    old = Edit(vm.label, vm.description, vm.cpu, vm.ram_mib, vm.extra.get("variables", {}))
    if to == old and not moved:
        return
    await vms.edit(c, vm.id, to)
    await emit(c, vm_event(writer.caller, vm, "MODIFY", f"{vm.name} was edited"))


@dataclass(frozen=True, slots=True)
class Deletion:
    """What became of a request to delete: the task that does it or did it, None for none, and a
    sentence of warning where a copy may remain."""

    task: Accepted | None = None
    warning: str | None = None


async def delete(writer: VmUpdater, vm_id: int, *, wants_task: bool) -> Deletion:
    """Forget a VM that is not deployed; have a deployed one undeployed and then forgotten, by one
    task and with the checks of an undeploy.

    One that is UNKNOWN may still be on a hypervisor: it takes a privilege of its own, and the
    event says where to look for a copy. `wants_task`: a task is made also where there is nothing
    to wait for.
    """
    async with writer.store.transaction() as c:
        vm = readable(await vms.lock(c, vm_id), writer.caller)
        if vm.open_task is not None:
            raise conflict("VM-8", "The virtual machine is locked", task=str(vm.open_task))
        require_unprotected(vm, writer.caller)
        warning = None
        if vm.state is VmState.UNKNOWN:
            warning = await _forget(c, writer, vm)
        elif vm.state is VmState.NOT_ALLOCATED:
            await vms.delete(c, vm.id)
            await emit(c, vm_event(writer.caller, vm, "DELETE", f"{vm.name} was deleted"))
        else:
            _require(writer.caller, Privilege.VAPP_PERFORM_ACTIONS)
            order = Order(Operation.UNDEPLOY, vm.id, {DELETE: True})
            return Deletion(await submit_in(c, order, writer.caller))
        return Deletion(await on_record(c, vm, writer.caller) if wants_task else None, warning)


def _require(caller: Caller, needs: Privilege) -> None:
    if needs not in caller.privileges:
        message = f"This needs the privilege {needs} for a virtual machine in this state"
        raise ApiError(ErrorKind.FORBIDDEN, "403-FORBIDDEN", message, field=needs)


async def _forget(c: Connection, writer: VmUpdater, vm: Vm) -> str:
    _require(writer.caller, Privilege.VM_DELETE_UNKNOWN)
    await bookings.release_all(c, vm.id)
    await vms.forget(c, vm.id)
    told = f"{vm.name} was deleted while UNKNOWN; a copy may remain"
    event = vm_event(writer.caller, vm, "DELETE", f"{told} on {vm.host_name}")
    details = {
        **event.details,
        "uuid": str(vm.uuid),
        "host_id": vm.host_id,
        "host": vm.host_name,
        "last_known_state": vm.known_state.value,
    }
    await emit(c, replace(event, severity=Severity.WARN, details=details, told=told))
    return event.message if writer.caller.sees_hosts else told


async def protect(writer: VmUpdater, vm_id: int, cause: str) -> None:
    """Put a VM that is ON, PAUSED or OFF under protection."""
    async with writer.store.transaction() as c:
        vm = readable(await vms.lock(c, vm_id), writer.caller)
        require_free(vm)
        if vm.protected:
            raise conflict("VM-118", "The virtual machine is protected already")
        if vm.state not in PROTECTABLE:
            names = ", ".join(PROTECTABLE)
            raise conflict("VM-149", f"Only one that is {names} can be protected; it is {vm.state}")
        await vms.protect(c, vm.id, cause, writer.caller.nick)
        message = f"{vm.name} was protected by {writer.caller.nick}: {cause}"
        await emit(c, vm_event(writer.caller, vm, "PROTECT", message))


async def unprotect(writer: VmUpdater, vm_id: int) -> None:
    """End a protection; the event names who set it and who ended it."""
    async with writer.store.transaction() as c:
        vm = readable(await vms.lock(c, vm_id), writer.caller)
        if not vm.protected:
            raise conflict("VM-119", "The virtual machine is not protected")
        require_free(vm)
        await vms.unprotect(c, vm.id)
        by = vm.extra.get("protected_by", "")
        message = f"{vm.name}, protected by {by}, was unprotected by {writer.caller.nick}"
        await emit(c, vm_event(writer.caller, vm, "UNPROTECT", message))
