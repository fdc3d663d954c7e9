"""Our mark on a VM: tags that the very call that makes it writes, and a name that tells its id.

A VM is ours while both say the same: a copy made by hand carries the tags along, but not the name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from drivers.contract import VmSpec

PREFIX = "vmgate-"
OURS = tuple(PREFIX + each for each in ("vm", "task", "cpu", "ram-mib", "size", "name"))
_VM, _TASK, _CPU, _RAM, _SIZE, _NAME = OURS


@dataclass(frozen=True, slots=True)
class TagMarker:
    """The VM, the task that made it, what it was asked to be, and of which size it was made."""

    vm: UUID | None = None
    task: UUID | None = None
    cpu: int = 0
    ram_mib: int = 0
    size: str = ""
    name: str = ""


def name_of(vm: UUID) -> str:
    """What Azure calls the VM, and its interface."""
    return f"{PREFIX}{vm}"


def written(spec: VmSpec, task: UUID, size: str) -> dict[str, str]:
    """The mark of a VM that is being made, or that gets another size."""
    return {
        _VM: str(spec.vm),
        _TASK: str(task),
        _CPU: str(spec.cpu),
        _RAM: str(spec.ram_mib),
        _SIZE: size,
        _NAME: spec.name,
    }


def resized(tags: Mapping[str, str], spec: VmSpec, size: str) -> dict[str, str]:
    """All tags of a VM with another size in them."""
    return {**tags, _CPU: str(spec.cpu), _RAM: str(spec.ram_mib), _SIZE: size}


def read_from(thing: Mapping[str, Any]) -> TagMarker:
    """The mark on a VM or an interface as Azure shows it; an empty one when it is not ours."""
    tags = thing.get("tags")
    if not isinstance(tags, Mapping):
        return TagMarker()
    vm = _uuid(tags.get(_VM))
    if vm is None or str(thing.get("name", "")).lower() != name_of(vm):
        return TagMarker()
    return TagMarker(
        vm,
        _uuid(tags.get(_TASK)),
        _number(tags.get(_CPU)),
        _number(tags.get(_RAM)),
        str(tags.get(_SIZE, "")),
        str(tags.get(_NAME, "")),
    )


def _uuid(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None


def _number(text: object) -> int:
    said = str(text)
    return int(said) if said.isascii() and said.isdecimal() and len(said) <= 9 else 0
