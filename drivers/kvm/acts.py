"""What each verb does on one host; begun again for the same task, it is the same piece of work.

Everything here blocks, runs in a lane's thread, and asks `check` right before each change.
"""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import libvirt

from drivers.contract import Clear, Deploy, Power, PowerRequest, Reconfigure, Remove, Reset
from drivers.faults import Missing, Rejected
from drivers.kvm import domain_xml, looking, volumes
from drivers.kvm.domain_xml import Ground
from drivers.kvm.options import KvmOptions

Check = Callable[[], None]
_UNDEFINE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)
_ON = (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_BLOCKED)


def found(connection: Any, vm: UUID, host: str) -> Any:
    """The domain; raises Missing."""
    domain = looking.find(connection, vm)
    if domain is None:
        raise Missing(f"there is no such VM on {host}", host=host)
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
    there = looking.find(connection, order.spec.vm)
    if there is not None:
        if domain_xml.task_of(there.XMLDesc(0)) == task:
            return
        raise Rejected("the VM is defined already", host=order.at.host)
    path = volumes.clone(connection, order.at.datastore, order.spec.disk, check)
    xml = domain_xml.define(order.spec, task, Ground(path, networks), options)
    check()
    connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)


def power(connection: Any, order: Power, check: Check) -> None:
    """Ask for a state; what is so already stays so."""
    domain = found(connection, order.vm, order.host)
    state = domain.state(0)[0]
    on, off = state in _ON, state == libvirt.VIR_DOMAIN_SHUTOFF
    paused = state in (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PMSUSPENDED)
    match order.request:
        case PowerRequest.ON:
            call, done, possible = domain.create, on, off or state == libvirt.VIR_DOMAIN_CRASHED
        case PowerRequest.OFF:
            call, done, possible = domain.destroy, off, not off
        case PowerRequest.SHUTDOWN:
            call, done, possible = domain.shutdown, off, on
        case PowerRequest.PAUSE:
            call, done, possible = domain.suspend, paused, on
        case PowerRequest.RESUME:
            call, done, possible = domain.resume, on, paused
    if done:
        return
    if not possible:
        raise Rejected(f"the VM is in no state to {order.request}", host=order.host)
    check()
    call()


def reset(connection: Any, order: Reset, check: Check) -> None:
    """Press the button of a running VM."""
    domain = found(connection, order.vm, order.host)
    if domain.state(0)[0] not in _ON:
        raise Rejected("a VM that is not running cannot be reset", host=order.host)
    check()
    domain.reset(0)


def reconfigure(connection: Any, order: Reconfigure, check: Check) -> None:
    """Define a VM that is off anew, with another size."""
    domain = found(connection, order.spec.vm, order.host)
    if domain.isActive():
        raise Rejected("a VM that is not off cannot be reconfigured", host=order.host)
    xml = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    check()
    connection.defineXML(domain_xml.resized(xml, order.spec.cpu, order.spec.ram_mib))


def remove(connection: Any, order: Remove, check: Check) -> None:
    """Delete a VM that is off, and its disk; what is gone stays gone."""
    domain = looking.find(connection, order.vm)
    if domain is not None:
        _undefine(domain, order.at.host, check)
    volumes.remove(connection, order.at.datastore, order.volume, check)


def clear(connection: Any, order: Clear, check: Check) -> None:
    """Delete what a move left here; the caller saw the VM living elsewhere."""
    domain = looking.find(connection, order.vm)
    if domain is not None:
        _undefine(domain, order.at.host, check)
    volumes.remove(connection, order.at.datastore, order.volume, check)


def _undefine(domain: Any, host: str, check: Check) -> None:
    if domain.isActive():
        raise Rejected("a VM that is not off is not deleted", host=host)
    check()
    domain.undefineFlags(_UNDEFINE)
