"""What a change of power costs and loses, said with every reply: nobody pays for a surprise."""

from typing import Any

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


def consequences(operation: Operation, *, release: bool = False) -> dict[str, Any]:
    """The field `consequences` of a change of power, also of reset and redeploy; else nothing.

    `release`: a power off that gives the compute back. `stillCharged`: its compute stays booked
    or paid for. `willLoseHost`: it will not run on the machine on which it ran.
    """
    if operation not in _WORDS:
        return {}
    freed = release and operation in _OFF
    return {
        "consequences": {
            "stillCharged": not freed,
            "ipReleased": freed,
            "willLoseHost": freed or operation is Operation.REDEPLOY,
            "message": _RELEASED if freed else _WORDS[operation],
        }
    }
