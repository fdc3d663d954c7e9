"""What an error of libvirt means in the six faults."""

from typing import Any

import libvirt

from drivers.faults import Busy, Fault, Indeterminate, Missing, Rejected, Unreachable

_MISSING = (
    libvirt.VIR_ERR_NO_DOMAIN,
    libvirt.VIR_ERR_NO_STORAGE_POOL,
    libvirt.VIR_ERR_NO_STORAGE_VOL,
)
_LOST = (
    libvirt.VIR_ERR_NO_CONNECT,
    libvirt.VIR_ERR_INVALID_CONN,
    libvirt.VIR_ERR_RPC,
)

# libvirt has no code of its own for a pool in which somebody makes a volume right now.
_POOL_BUSY = "asynchronous jobs running"


def fault_of(error: libvirt.libvirtError, host: str, connection: Any, *, changing: bool) -> Fault:
    """The fault; `changing` when the call that failed may have had an effect.

    A lost connection is told by the connection and the error's domain, not by its code alone:
    libvirt reports it as an internal error.
    """
    code = error.get_error_code()
    message = str(error.get_error_message() or error).strip()
    if is_lost(error, connection):
        said = f"the connection to {host} was lost: {message}"
        return Indeterminate(said, host=host) if changing else Unreachable(said, host=host)
    if code in _MISSING:
        return Missing(f"{host}: {message}", host=host)
    if code == libvirt.VIR_ERR_OPERATION_TIMEOUT or _POOL_BUSY in message:
        return Busy(f"{host}: {message}", host=host)
    return Rejected(f"{host}: {message}", host=host)


def is_lost(error: libvirt.libvirtError, connection: Any) -> bool:
    """Whether nobody answers, rather than that something was refused."""
    lost = error.get_error_code() in _LOST or _from_transport(error)
    return lost or not _alive(connection)


def _from_transport(error: libvirt.libvirtError) -> bool:
    return bool(error.get_error_domain() == libvirt.VIR_FROM_RPC)


def _alive(connection: Any) -> bool:
    try:
        return bool(connection.isAlive())
    except libvirt.libvirtError:
        return False
