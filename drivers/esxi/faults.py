"""What an error of pyvmomi, of the vCenter or of one of its tasks means in the six faults."""

from http.client import HTTPException

from pyVmomi import vim, vmodl

from drivers.esxi.connection.tls import NoConnection
from drivers.faults import Busy, Fault, Indeterminate, Missing, Rejected, Unreachable

_NO_ROOM = (
    vim.fault.InsufficientResourcesFault,
    vim.fault.NoDiskSpace,
    vim.fault.InsufficientDisks,
)
_LATER = (vim.fault.TaskInProgress, vim.fault.ConcurrentAccess)
_SILENT = (
    vmodl.fault.HostCommunication,
    vmodl.fault.SystemError,
    vmodl.fault.RequestCanceled,
)


def fault_of(error: Exception, name: str, *, changing: bool, host: str | None = None) -> Fault:
    """The fault of a call to the vCenter called `name`; `changing` when it may have had an
    effect before it failed."""
    where = host or name
    match error:
        case NoConnection():
            return Unreachable(f"{name} does not answer: {error}", host=where)
        case vim.fault.InvalidLogin():
            return Unreachable(f"{name} refuses the user or the password", host=where)
        case vim.fault.NotAuthenticated():
            return Unreachable(f"{name} ends every session at once", host=where)
        case vmodl.MethodFault() if isinstance(error, _SILENT):
            return _unseen(f"{name}: {words(error)}", where, changing)
        case vmodl.MethodFault():
            return refusal_of(error, where)
        case ValueError():
            return Unreachable(f"{name}: {error}", host=where)
        case OSError() | HTTPException():
            return _silence(error, name, where, changing)
        case _:
            return _unseen(f"{name}: {type(error).__name__}", where, changing)


def refusal_of(error: vmodl.MethodFault, where: str) -> Fault:
    """The fault of a call, or a task, that the vCenter ended with this error."""
    said = words(error)
    match error:
        case vmodl.fault.ManagedObjectNotFound():
            return Missing(f"{where}: it is not there any more", host=where)
        case vim.fault.NoPermission():
            return Rejected(f"{where}: the privilege {error.privilegeId} is missing", host=where)
        case vim.fault.DuplicateName():
            return Rejected(f"{where}: the name {error.name} is taken", host=where)
        case vim.fault.VimFault() if isinstance(error, _NO_ROOM):
            return Rejected(f"{where}: no capacity: {said}", host=where, no_capacity=True)
        case vim.fault.VimFault() if isinstance(error, _LATER):
            return Busy(f"{where}: {said}", host=where)
        case vmodl.fault.HostCommunication():
            return Indeterminate(f"{where} was lost: {said}", host=where)
        case _:
            return Rejected(f"{where}: {said}", host=where)


def words(error: vmodl.MethodFault) -> str:
    """The vCenter's own sentence and its name of the error."""
    kind = type(error).__name__.rpartition(".")[2]
    said = str(error.msg or "").strip()
    return f"{said} ({kind})" if said and said != kind else kind


def _silence(error: Exception, name: str, where: str, changing: bool) -> Fault:
    status = str(error)[:3] if isinstance(error, HTTPException) else ""
    if status in ("429", "503") and not changing:
        return Busy(f"{name} is busy: {error}", host=where)
    said = str(error).strip() or type(error).__name__
    return _unseen(f"{name} does not answer: {said}", where, changing)


def _unseen(said: str, where: str, changing: bool) -> Fault:
    return Indeterminate(said, host=where) if changing else Unreachable(said, host=where)
