"""Our mark on a VM, written by the very call that makes it: whose it is, and what its disk is
called on each datastore it may be on.

A VM is ours while the mark names the VM's own id: a copy made by hand carries the mark along,
but not the id.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pyVmomi import vim

_VM, _TASK, _VOLUME, _DISKS = "vmgate.vm", "vmgate.task", "vmgate.volume.", "vmgate.disks"


@dataclass(frozen=True, slots=True)
class ExtraConfigMarker:
    """The VM and the task that made it; volumes by the ids of datastores; `disks` are the keys of
    those that the template brought, None in marks of earlier versions."""

    vm: UUID | None = None
    task: UUID | None = None
    volumes: Mapping[str, str] = field(default_factory=dict)
    disks: frozenset[int] | None = None


def written(
    vm: UUID, task: UUID, datastore: str, volume: str, disks: Iterable[int] = ()
) -> list[Any]:
    """The mark of a VM that is being made."""
    values = {_VM: str(vm), _TASK: str(task), _VOLUME + datastore: volume}
    keys = ",".join(str(key) for key in sorted(disks))
    if keys:
        values[_DISKS] = keys
    return [vim.option.OptionValue(key=key, value=value) for key, value in values.items()]


def renamed(datastore: str, volume: str) -> list[Any]:
    """What is added before a VM's disk moves to a datastore: its name there."""
    return [vim.option.OptionValue(key=_VOLUME + datastore, value=volume)]


def read_from(options: Iterable[Any]) -> ExtraConfigMarker:
    """The mark among a VM's extra options; the last of a key counts."""
    values = {each.key: str(each.value) for each in options if each.key.startswith("vmgate.")}
    volumes = {
        key.removeprefix(_VOLUME): value for key, value in values.items() if key.startswith(_VOLUME)
    }
    keys = values.get(_DISKS, "").split(",")
    disks = frozenset(int(key) for key in keys) if all(key.isdigit() for key in keys) else None
    return ExtraConfigMarker(_uuid(values.get(_VM)), _uuid(values.get(_TASK)), volumes, disks)


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
