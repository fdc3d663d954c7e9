"""Management locks: on a subscription, a group or a resource, inherited by all that is below.

As documented: CanNotDelete refuses deletions, ReadOnly every change too; of a resource that holds
locked ones, as of these. Nobody is exempt, and a lock is no matter of rights.
"""

from dataclasses import dataclass, field

from tests.lab.azure.replies import Body, Call, arm_fault

_DELETED = ("DELETE",)
_CHANGED = ("DELETE", "PUT", "PATCH", "POST")
_AT = "/providers/Microsoft.Authorization/locks/"


@dataclass(slots=True)
class Locks:
    """All locks, by their ids."""

    found: dict[str, Body] = field(default_factory=dict)

    def add(self, scope: str, name: str, level: str = "CanNotDelete") -> None:
        """One more, on whatever has this id."""
        path = f"{scope}{_AT}{name}"
        body = {"id": path, "name": name, "type": "Microsoft.Authorization/locks"}
        self.found[path.lower()] = {**body, "properties": {"level": level}}

    def remove(self, name: str) -> None:
        """No lock of that name any more."""
        self.found = {k: lock for k, lock in self.found.items() if lock["name"] != name}

    def near(self, scope: str) -> list[Body]:
        """Those at, above and below a scope, as a list without a filter has them."""
        return [one for one in self.found.values() if _touches(_scope(one), scope)]

    def check(self, call: Call) -> None:
        """Passes when no lock keeps what a call would change; else ARM's 409."""
        for lock in self.found.values():
            deletes = lock["properties"]["level"] == "CanNotDelete"
            if call.method not in (_DELETED if deletes else _CHANGED):
                continue
            scope = _scope(lock)
            below = call.method == "DELETE" and scope.lower().startswith(f"{call.path.lower()}/")
            if below or f"{call.path.lower()}/".startswith(f"{scope.lower()}/"):
                what = "delete" if call.method == "DELETE" else "write"
                raise arm_fault(
                    409,
                    "ScopeLocked",
                    f"The scope '{call.path}' cannot perform {what} operation because following "
                    f"scope(s) are locked: '{scope}'. Please remove the lock and try again.",
                )


def _scope(lock: Body) -> str:
    return str(lock["id"]).rpartition(_AT)[0]


def _touches(one: str, other: str) -> bool:
    first, second = f"{one.lower()}/", f"{other.lower()}/"
    return first.startswith(second) or second.startswith(first)
