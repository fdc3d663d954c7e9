"""What a change of power costs and loses, said with every reply: nobody pays for a surprise."""

from dataclasses import dataclass

from gateway.lifecycle import Operation

_OFF = (Operation.POWER_OFF, Operation.SHUTDOWN)
_WORDS = {
    Operation.POWER_ON: "On, it is charged.",
    Operation.RESUME: "On, it is charged.",
    Operation.POWER_OFF: "Off, it keeps its place and is still charged.",
    Operation.SHUTDOWN: "Off, it keeps its place and is still charged.",
    Operation.PAUSE: "Paused, it keeps its place and is still charged.",
    Operation.RESET: "It stays where it is, and is still charged.",
    Operation.REDEPLOY: (
        "It starts anew on another machine, without what is on its temporary disk, and is still "
        "charged."
    ),
}
_RELEASED = (
    "Its compute is given back and no longer charged, only its disks are; its addresses are "
    "released, and it starts again only where there is capacity then."
)


@dataclass(frozen=True, slots=True)
class Consequences:
    """`still_charged`: its compute stays booked or paid for. `will_lose_host`: it will not run on
    the machine on which it ran."""

    still_charged: bool
    ip_released: bool
    will_lose_host: bool
    message: str


def consequences(operation: Operation, *, release: bool) -> Consequences | None:
    """Those of a change of power, also of reset and redeploy; None for what is none.

    `release`: a power off that gives the compute back.
    """
    if operation not in _WORDS:
        return None
    if release and operation in _OFF:
        return Consequences(False, True, True, _RELEASED)
    return Consequences(True, False, operation is Operation.REDEPLOY, _WORDS[operation])
