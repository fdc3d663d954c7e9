"""Why an order would be refused for what others have set on its VM; looks only."""

from collections.abc import Mapping
from typing import Any

from drivers.contract import Order, Reconfigure, Relocate, Remove
from drivers.esxi import queries
from drivers.esxi.connection.session import Service
from drivers.esxi.settle import vm_of_order
from drivers.esxi.vms import migrate, operations
from drivers.faults import Rejected


def objections(service: Service, order: Order, hosts: Mapping[str, Any]) -> tuple[str, ...]:
    """Each a sentence that names what is in the way."""
    seen = queries.see(service, vm_of_order(order), hosts)
    if seen.vm is None:
        return ()
    try:
        match order:
            case Relocate():
                migrate.movable(order, seen)
            case Reconfigure(host=host):
                operations.unprotected(seen, host)
            case Remove(at=at):
                operations.loose(seen, at.host)
    except Rejected as refused:
        return (refused.message,)
    return ()
