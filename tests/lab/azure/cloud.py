"""What there is in the simulated subscription: groups, resources, VMs and their operations."""

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

from tests.lab.azure.faults import Faults
from tests.lab.azure.limits import Limits
from tests.lab.azure.locks import Locks
from tests.lab.azure.operations import Operation, nothing
from tests.lab.azure.policies import Policies
from tests.lab.azure.replies import (
    Body,
    Call,
    fault,
    group_not_found,
    new_id,
    resource_not_found,
)
from tests.lab.azure.rights import Rights
from tests.lab.azure.sizes import Sizes

_One = TypeVar("_One")


@dataclass(slots=True)
class Resource:
    """Anything with an id; `body` is its JSON, `kind` such as Microsoft.Network/virtualNetworks."""

    kind: str
    id: str
    body: Body
    group: str
    reserved_for: str = ""
    reserved_until_s: float = 0.0

    @property
    def name(self) -> str:
        """The last part of its id."""
        return self.id.rsplit("/", 1)[-1]

    @property
    def properties(self) -> Body:
        """What differs from kind to kind."""
        found: Body = self.body["properties"]
        return found


@dataclass(slots=True)
class Vm(Resource):
    """A VM; `power` is "" until it was ever on. `boots` counts its starts,
    `codes` are statuses that it has beside those of its provisioning and power."""

    power: str = ""
    boots: int = 0
    operation: Operation | None = None
    born: str = ""
    codes: list[str] = field(default_factory=list)

    @property
    def size(self) -> str:
        """Such as Standard_D2s_v3."""
        return str(self.properties["hardwareProfile"]["vmSize"])

    @property
    def allocated(self) -> bool:
        """Whether it has compute, used or not."""
        return self.power not in ("", "deallocated")

    @property
    def location(self) -> str:
        """Its region."""
        return str(self.body["location"])

    @property
    def zone(self) -> str:
        """Its zone, or ""."""
        return str((self.body.get("zones") or [""])[0])


@dataclass(slots=True)
class Pace:
    """How long operations take: so many looks and so many seconds; what Retry-After says; for how
    long the interface of a VM that was not made is kept for that VM: in Azure 180 s."""

    looks: int = 1
    seconds: float = 0.0
    retry_after_s: int | None = None
    page_size: int = 100
    nic_reserved_s: int = 0


@dataclass(slots=True)
class Cloud:
    """All of it. Ids are looked up in lower case, as ARM does. `disks_inherit`: the disk of a new
    VM gets the VM's tags, as people have seen."""

    subscription: str
    pace: Pace = field(default_factory=Pace)
    sizes: Sizes = field(default_factory=Sizes)
    limits: Limits = field(default_factory=Limits)
    faults: Faults = field(default_factory=Faults)
    rights: Rights = field(default_factory=Rights)
    locks: Locks = field(default_factory=Locks)
    policies: Policies = field(default_factory=Policies)
    disks_inherit: bool = True
    groups: dict[str, Body] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)
    children: dict[str, dict[str, None]] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    given: dict[str, int] = field(default_factory=dict)

    def add_group(self, name: str, location: str = "eastus") -> Body:
        """A resource group."""
        body = {
            "id": f"/subscriptions/{self.subscription}/resourceGroups/{name}",
            "name": name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": location,
            "properties": {"provisioningState": "Succeeded"},
        }
        return self.groups.setdefault(name.lower(), body)

    def group(self, call: Call) -> Body:
        """The group that a call names; ResourceGroupNotFound."""
        name = call.names["group"]
        if name.lower() not in self.groups:
            raise group_not_found(name)
        return self.groups[name.lower()]

    def get(self, resource_id: str) -> Resource | None:
        """Whatever has this id."""
        return self.resources.get(resource_id.lower())

    def find(self, call: Call, kind: str, resource_id: str = "") -> Resource:
        """The resource that a call names; ResourceGroupNotFound, ResourceNotFound."""
        self.group(call)
        found = self.get(resource_id or call.id)
        if found is None:
            raise resource_not_found(kind, call)
        return found

    def find_vm(self, call: Call) -> Vm:
        """The VM that a call's path names, whatever follows; ResourceNotFound."""
        name = call.names["vm"]
        before = call.id.lower().rpartition(f"/virtualmachines/{name.lower()}")[0]
        where = call.id[: len(before)] + f"/virtualMachines/{name}"
        found = self.find(call, "Microsoft.Compute/virtualMachines", where)
        assert isinstance(found, Vm)
        return found

    def put(self, one: Resource) -> None:
        """There from now on."""
        key = one.id.lower()
        self.resources[key] = one
        self.children.setdefault(key.rpartition("/")[0], {})[key] = None

    def remove(self, one: Resource) -> None:
        """There no more, nor anything below it."""
        key = one.id.lower()
        self.resources.pop(key, None)
        self.children.get(key.rpartition("/")[0], {}).pop(key, None)
        for where in [each for each in self.children if each.startswith(f"{key}/")]:
            for each in self.children.pop(where):
                self.resources.pop(each, None)

    def vms(self) -> Iterator[Vm]:
        """All VMs."""
        for where, names in self.children.items():
            if where.endswith("/virtualmachines"):
                found = (self.resources[name] for name in names)
                yield from (one for one in found if isinstance(one, Vm))

    def vm(self, name: str) -> Vm:
        """A VM by its name in any group; KeyError."""
        for where in self.children:
            found = self.resources.get(f"{where}/{name.lower()}")
            if isinstance(found, Vm):
                return found
        raise KeyError(name)

    def begin(
        self,
        what: str,
        target: Resource,
        *,
        location: str,
        done: Callable[[], None] = nothing,
        failed: Callable[[], None] = nothing,
        provider: str = "Microsoft.Compute",
        **narrow: str,
    ) -> Operation:
        """An operation on a resource, as faults will have it."""
        words = {"of": what, "vm": target.name, "location": location, **narrow}
        operation = Operation(what, target.id.lower(), location, provider, done, failed)
        operation.looks = self.pace.looks
        operation.due_s = time.monotonic() + self.pace.seconds if self.pace.seconds else 0.0
        for rule in self.faults.befall(("fail", "hang", "lost"), words):
            if rule.kind == "fail":
                message = rule.message or f"{rule.code}: as the fault has it"
                operation.error = {"code": rule.code, "message": message}
            elif rule.kind == "hang":
                operation.held = True
                rule.let_go.append(operation.finish)
            else:
                operation.lost = True
        self.operations[operation.id] = operation
        return operation

    def operation(self, call: Call) -> Operation:
        """The one that a poll names; NotFound when it is unknown by now."""
        found = self.operations.get(call.names["operation"].lower())
        if found is None or found.lost:
            raise fault(404, "NotFound", "The entity was not found in this Azure location.")
        found.polls += 1
        found.look()
        return found

    def look(self, one: Resource) -> None:
        """A GET of the resource moves its operation on."""
        if isinstance(one, Vm) and one.operation is not None:
            one.operation.look()

    def below(self, one: Resource, what: str) -> list[Resource]:
        """The resources under another, such as a VM's extensions."""
        names = self.children.get(f"{one.id.lower()}/{what}", ())
        return [self.resources[each] for each in names]

    def page(self, call: Call, found: list[_One], show: Callable[[_One], Body]) -> Body:
        """A page of a list, with a nextLink when there are more."""
        begin = int(call.query.get("$skiptoken", "0"))
        end = begin + self.pace.page_size
        page: Body = {"value": [show(one) for one in found[begin:end]]}
        if end < len(found):
            words = {**call.query, "$skiptoken": str(end)}
            page["nextLink"] = f"{call.base}{call.path}?{urlencode(words, safe='$')}"
        return page


def etag() -> str:
    """As Network writes it."""
    return f'W/"{new_id()}"'


def merge(into: Body, change: Body) -> None:
    """A PATCH: objects are merged, everything else is replaced."""
    for name, value in change.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            merge(into[name], value)
        else:
            into[name] = copy.deepcopy(value)


def at(body: Body, *path: str) -> Any:
    """What is deep inside, or None."""
    for name in path:
        body = (body or {}).get(name) or {}
    return body or None
