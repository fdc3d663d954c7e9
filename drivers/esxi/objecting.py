"""Why an order would be refused for what others have set on its VM; looks only."""

from collections.abc import Mapping
from typing import Any

from drivers.contract import Order, Reconfigure, Relocate, Remove
from drivers.esxi import acts, looking, moving
from drivers.esxi.session import Service
from drivers.esxi.settling import vm_of_order
from drivers.faults import Rejected


def objections(service: Service, order: Order, hosts: Mapping[str, Any]) -> tuple[str, ...]:
    """Each a sentence that names what is in the way."""
    seen = looking.see(service, vm_of_order(order), hosts)
    if seen.vm is None:
        return ()
    try:
        match order:
            case Relocate():
                moving.movable(order, seen)
            case Reconfigure(host=host):
                acts.unprotected(seen, host)
            case Remove(at=at):
                acts.loose(seen, at.host)
    except Rejected as refused:
        return (refused.message,)
    return ()
