"""Reads leaf properties of many objects at once, page by page, to the end or not at all.

An object that vanishes meanwhile is left out. A property that may not be read is an error, since a
listing that is silently shorter would be taken for the whole; who can say so of a single object
asks for it with its properties in `unread`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyVmomi import vim, vmodl

from drivers.esxi.connection import fast_property_collector
from drivers.esxi.connection.session import Service
from drivers.faults import Unreachable

Collector = vmodl.query.PropertyCollector
_WALKS_MAX = 3


@dataclass(frozen=True, slots=True)
class PropertyPage:
    """One object's properties, by path; one that is unset is not there. `unread` are those that
    may not be read, with the privilege or the error that is in the way."""

    kind: str
    id: str
    values: Mapping[str, Any]
    ref: Any = field(compare=False, default=None)
    unread: Mapping[str, str] = field(default_factory=dict)

    def get(self, path: str, otherwise: Any = None) -> Any:
        """A property's value."""
        return self.values.get(path, otherwise)


Wanted = Mapping[Any, Sequence[str]]


def one(ref: Any, *steps: Any) -> Any:
    """Start at an object, and go on along `steps` from it."""
    return Collector.ObjectSpec(obj=ref, skip=False, selectSet=list(steps))


def along(kind: Any, path: str, *steps: Any) -> Any:
    """From each object of a kind to those its property names, and on along `steps` from them."""
    return Collector.TraversalSpec(
        type=kind, path=path, skip=False, selectSet=list(steps), name=f"{kind.__name__}-{path}"
    )


def all_in(view: Any) -> Any:
    """Start at everything in a view."""
    step = Collector.TraversalSpec(type=type(view), path="view", skip=False, name="view")
    return Collector.ObjectSpec(obj=view, skip=True, selectSet=[step])


def filter_of(starts: Sequence[Any], wanted: Wanted) -> Any:
    """What a read, or a watch, is about."""
    paths = [
        Collector.PropertySpec(type=kind, pathSet=list(names), all=False)
        for kind, names in wanted.items()
    ]
    return Collector.FilterSpec(
        objectSet=list(starts), propSet=paths, reportMissingObjectsInResults=True
    )


def read(
    service: Service, starts: Sequence[Any], wanted: Wanted, page: int = 500
) -> list[PropertyPage]:
    """Everything that is there; raises Unreachable when a part of it cannot be read."""
    return whole(_read(service.content.propertyCollector, starts, wanted, page))


def read_each(service: Service, starts: Sequence[Any], wanted: Wanted) -> list[PropertyPage]:
    """The same, with those that cannot be read, as far as they can."""
    return _read(service.content.propertyCollector, starts, wanted, 500)


def list_leaves(
    service: Service, starts: Sequence[Any], wanted: Wanted, page: int
) -> list[PropertyPage]:
    """As `read_each` of many objects, several times as quick, for leaf properties alone."""
    return _read(fast_property_collector.collector(service), starts, wanted, page)


def whole(found: list[PropertyPage]) -> list[PropertyPage]:
    """What was found; raises Unreachable when a part of it cannot be read."""
    for each in found:
        for path, why in each.unread.items():
            raise Unreachable(f"{path} may not be read: {why}")
    return found


def _read(collector: Any, starts: Sequence[Any], wanted: Wanted, page: int) -> list[PropertyPage]:
    left = list(starts)
    for _ in range(len(left) + _WALKS_MAX):
        try:
            return list(_walked(collector, left, wanted, page)) if left else []
        except vmodl.fault.ManagedObjectNotFound as gone:
            left = _without(left, gone)
    raise Unreachable("too much vanished while it was listed")


def _without(starts: list[Any], gone: Any) -> list[Any]:
    """The starts less the one that is gone. Something else that vanished is walked past another
    time; a view that vanished would hide everything in it, so it is an error."""
    left = [start for start in starts if start.obj != gone.obj]
    if len(left) < len(starts) and not isinstance(gone.obj, vim.ManagedEntity):
        raise gone
    return left


def _walked(
    collector: Any, starts: Sequence[Any], wanted: Wanted, page: int
) -> Iterator[PropertyPage]:
    options = Collector.RetrieveOptions(maxObjects=page)
    reply = collector.RetrievePropertiesEx([filter_of(starts, wanted)], options)
    while reply is not None:
        for content in reply.objects:
            found = found_in(content)
            if found is not None:
                yield found
        if not reply.token:
            return
        reply = collector.ContinueRetrievePropertiesEx(reply.token)


def found_in(content: Any) -> PropertyPage | None:
    """An object as the vCenter tells of it; None when it has vanished."""
    unread = {}
    for missing in content.missingSet:
        fault = missing.fault
        if isinstance(fault, vmodl.fault.ManagedObjectNotFound):
            return None
        if isinstance(fault, vim.fault.NotAuthenticated):
            raise fault
        unread[missing.path] = type(fault).__name__
    values = {each.name: each.val for each in content.propSet if each.val is not None}
    ref = content.obj
    return PropertyPage(type(ref).__name__, ref._moId, values, ref, unread)
