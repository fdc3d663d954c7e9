"""What each verb does on one host; begun again for the same task, it is the same piece of work.

Everything here blocks, runs in a lane's thread, and asks `check` right before each change.
"""

import errno
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import libvirt

from drivers.contract import Clear, Deploy, Power, PowerRequest, Reconfigure, Remove, Reset
from drivers.faults import Missing, Rejected
from drivers.kvm import definition_rewrite, domain_xml, preflight, queries, states, volumes
from drivers.kvm.domain_xml import HostSetting
from drivers.kvm.options import KvmOptions

Check = Callable[[], None]
# What libvirt keeps of a VM beside its definition goes with it; all of that is the VM's own.
_UNDEFINE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


def found(connection: Any, vm: UUID, host: str) -> Any:
    """The domain; raises Missing."""
    domain = queries.find(connection, vm)
    if domain is None:
        raise Missing(f"the VM does not exist on {host}", host=host)
    return domain


def deploy(
    connection: Any,
    order: Deploy,
    task: UUID,
    setting: tuple[Mapping[str, str], KvmOptions],
    check: Check,
) -> None:
    """Clone the disk and define the VM, off, marked as this task's; `setting` is the host's
    networks and the options."""
    networks, options = setting
    there = queries.find(connection, order.spec.vm)
    if there is not None:
        if domain_xml.task_of(there.XMLDesc(0)) == task:
            return
        raise Rejected("the VM is defined already", host=order.at.host)
    path = volumes.clone(connection, order.at.datastore, order.spec.disk, check)
    xml = domain_xml.define(order.spec, task, HostSetting(path, networks), options)
    check()
    connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)


def power(connection: Any, order: Power, check: Check) -> None:
    """Ask for a state; what is so already stays so. A guest that is asleep is woken by ON; one
    whose memory was saved goes on from there."""
    domain = found(connection, order.vm, order.host)
    state = domain.state(0)[0]
    on, off = state in states.RUNNING, state == libvirt.VIR_DOMAIN_SHUTOFF
    paused, asleep = state == libvirt.VIR_DOMAIN_PAUSED, state == libvirt.VIR_DOMAIN_PMSUSPENDED
    match order.request:
        case PowerRequest.ON | PowerRequest.RESUME if asleep:
            call, done, possible = domain.pMWakeup, on, True
        case PowerRequest.ON:
            call, done, possible = domain.create, on, off
        case PowerRequest.OFF:
            call, done, possible = domain.destroy, off, not off
        case PowerRequest.SHUTDOWN:
            call, done, possible = domain.shutdown, off, on
        case PowerRequest.PAUSE:
            call, done, possible = domain.suspend, paused or asleep, on
        case PowerRequest.RESUME:
            call, done, possible = domain.resume, on, paused
    if done:
        return
    if not possible:
        raise Rejected(_impossible(domain, order.request), host=order.host)
    check()
    call()


def _impossible(domain: Any, request: str) -> str:
    return f"{request} is not possible: {states.condition_of(domain).sentence}"


def reset(connection: Any, order: Reset, check: Check) -> None:
    """Press the button of a running VM."""
    domain = found(connection, order.vm, order.host)
    if domain.state(0)[0] not in states.RUNNING:
        raise Rejected(_impossible(domain, "RESET"), host=order.host)
    check()
    domain.reset(0)


def reconfigure(connection: Any, order: Reconfigure, check: Check) -> None:
    """Define a VM that is off anew, with another size and nothing else changed.

    What libvirt itself makes of the new definition is read back: where more has changed than the
    size, it becomes again what it was.
    """
    domain = found(connection, order.spec.vm, order.host)
    if domain.isActive():
        raise Rejected("a VM that is not off cannot be reconfigured", host=order.host)
    _refuse(preflight.reconfiguration(connection, order), order.host)
    before = preflight.lasting(domain)
    after = definition_rewrite.resized(before, order.spec.cpu, order.spec.ram_mib)
    definition_rewrite.require_kept(before, after)
    check()
    connection.defineXML(after)
    became = preflight.lasting(domain)
    if definition_rewrite.of_others(before) != definition_rewrite.of_others(became):
        check()
        connection.defineXML(before)
        raise Rejected("libvirt would change more of the VM than its size", host=order.host)


def remove(connection: Any, order: Remove, check: Check) -> None:
    """Delete a VM that is off, and its disk; what is gone stays gone."""
    _refuse(preflight.removal(connection, order), order.at.host)
    domain = queries.find(connection, order.vm)
    if domain is not None:
        _undefine(domain, order.at.host, check)
    volumes.remove(connection, order.at.datastore, order.volume, check)


def clear(connection: Any, order: Clear, check: Check) -> None:
    """Delete what a move left here; the caller saw the VM living elsewhere."""
    domain = queries.find(connection, order.vm)
    if domain is not None:
        _undefine(domain, order.at.host, check)
    volumes.remove(connection, order.at.datastore, order.volume, check)


def arrived(connection: Any, vm: UUID, definition: str, check: Check) -> None:
    """Leave nothing of an earlier stay, and the definition as it was at the source.

    A saved image that is here was made before the VM left: its memory knows nothing of what the
    disk has become since, and the next start would take it up. libvirt moves a definition with
    some devices in another order or form.
    """
    domain = queries.find(connection, vm)
    if domain is None:
        return
    check()
    try:
        domain.managedSaveRemove(0)  # libvirt does not say of such a file that it is there
    except libvirt.libvirtError as error:
        if error.get_int1() != errno.ENOENT:
            raise
    if preflight.lasting(domain) != definition:
        check()
        connection.defineXML(definition)


def _refuse(told: tuple[str, ...], host: str) -> None:
    if told:
        raise Rejected("; ".join(told), host=host)


def _undefine(domain: Any, host: str, check: Check) -> None:
    if domain.isActive():
        raise Rejected("a VM that is not off is not deleted", host=host)
    check()
    domain.undefineFlags(_UNDEFINE)
