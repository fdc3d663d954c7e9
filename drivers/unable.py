"""What a driver that lacks a capability says to an order that needs it."""

from drivers.contract import Order, Permit, Redeploy
from drivers.faults import Unsupported


class NoRedeploy:
    """For drivers whose hypervisor moves no VM to a machine of its own choice."""

    async def redeploy(self, permit: Permit, order: Redeploy) -> None:
        """Refuse; nothing is begun."""
        raise Unsupported(f"{order.host} redeploys no VM", host=order.host)


class NothingForeseen:
    """For drivers that know of no objection before they ask the hypervisor itself."""

    async def objections(self, order: Order) -> tuple[str, ...]:
        """None."""
        return ()
