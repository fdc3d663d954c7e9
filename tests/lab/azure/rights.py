"""Who may do what: a role of actions, asked for as ARM does, by the names of its operations.

From documentation: which action a call needs follows from its path and method; a call that refers
to other resources needs the right to join, read or write those too. Nobody checks a role here
unless `grant` was called.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from tests.lab.azure.replies import Body, Call, Reply, arm_fault

_VERBS = {"GET": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}


@dataclass(slots=True)
class Rights:
    """What the one client here may do; None for everything."""

    actions: tuple[str, ...] | None = None

    def grant(self, actions: Iterable[str]) -> None:
        """These and nothing else, from now on; a name may hold asterisks."""
        self.actions = tuple(actions)

    def check(self, call: Call) -> None:
        """Passes when the client may make the call; else ARM's 403."""
        needed = action_of(call.method, call.path)
        if not self._holds(needed):
            raise arm_fault(
                403,
                "AuthorizationFailed",
                f"The client 'lab' with object id 'lab' does not have authorization to perform "
                f"action '{needed}' over scope '{call.path}' or the scope is invalid.",
            )
        for linked in linked_actions(call):
            if not self._holds(linked):
                raise arm_fault(
                    403,
                    "LinkedAuthorizationFailed",
                    f"The client 'lab' has permission to perform action '{needed}' on scope "
                    f"'{call.path}'; however, it does not have permission to perform action "
                    f"'{linked}' on the linked scope(s), or these are invalid.",
                )

    def shown(self) -> Reply:
        """The list of permissions, as a client reads its own."""
        actions = ["*"] if self.actions is None else list(self.actions)
        return Reply(200, {"value": [{"actions": actions, "notActions": []}]}, compact=True)

    def _holds(self, action: str) -> bool:
        if self.actions is None:
            return True
        return any(fnmatchcase(action.lower(), each.lower()) for each in self.actions)


def action_of(method: str, path: str) -> str:
    """Such as Microsoft.Compute/virtualMachines/start/action."""
    _, _, below = path.rpartition("/providers/")
    provider, *parts = below.strip("/").split("/")
    kinds = parts[0::2]  # a kind and a name by turns; an action or a list ends with a kind
    return "/".join((provider, *kinds, _VERBS[method]))


def linked_actions(call: Call) -> list[str]:
    """What a call needs on the resources that its body refers to."""
    found = []
    properties: Body = call.body.get("properties") or {}
    if call.names["of"] == "PUT nic":
        configs = [each.get("properties") or {} for each in properties.get("ipConfigurations", ())]
        if any(each.get("subnet") for each in configs):
            found.append("Microsoft.Network/virtualNetworks/subnets/join/action")
    if call.names["of"] in ("PUT vm", "PATCH vm"):
        if (properties.get("networkProfile") or {}).get("networkInterfaces"):
            found.append("Microsoft.Network/networkInterfaces/join/action")
        found += _of_disk(properties.get("storageProfile") or {})
    return found


def _of_disk(storage: dict[str, Any]) -> list[str]:
    found = []
    if storage.get("osDisk"):
        found.append("Microsoft.Compute/disks/write")
    image = str((storage.get("imageReference") or {}).get("id") or "").lower()
    if "/galleries/" in image:
        found.append("Microsoft.Compute/galleries/images/versions/read")
    elif "/images/" in image:
        found.append("Microsoft.Compute/images/read")
    return found
