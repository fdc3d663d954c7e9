"""Calls and replies as Azure Resource Manager writes them; nothing here knows of VMs."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One request: `names` are what its path names, as written; `query` in lower-case names."""

    method: str
    path: str
    names: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Body
    base: str

    @property
    def id(self) -> str:
        """The resource's id as written in the path."""
        return self.path


@dataclass(slots=True)
class Reply:
    """What goes back; `compact` is how ARM itself writes, Compute and Network write pretty."""

    status: int = 200
    body: Body | list[Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    compact: bool = False
    raw: str | None = None
    media: str = "application/json"

    def text(self) -> str:
        """The body, or what a fault makes of it; Compute separates lines as Windows does."""
        if self.raw is not None:
            return self.raw
        if self.body is None:
            return ""
        if self.compact:
            return json.dumps(self.body, separators=(",", ":"))
        return json.dumps(self.body, indent=2).replace("\n", "\r\n")


class Refused(Exception):
    """A handler's way out; carries the reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def fault(status: int, code: str, message: str, **headers: str) -> Refused:
    """A refusal by a resource provider, such as Compute."""
    body = {"error": {"code": code, "message": message}}
    return Refused(Reply(status, body, {k.replace("_", "-"): v for k, v in headers.items()}))


def arm_fault(status: int, code: str, message: str) -> Refused:
    """A refusal by ARM itself, before any provider is asked."""
    refused = fault(status, code, message, x_ms_failure_cause="gateway")
    refused.reply.compact = True
    return refused


def group_not_found(name: str) -> Refused:
    """There is no such resource group."""
    message = f"Resource group '{name}' could not be found."
    return arm_fault(404, "ResourceGroupNotFound", message)


def resource_not_found(kind: str, call: Call) -> Refused:
    """ARM knows of no such resource."""
    name = call.id.rsplit("/", 1)[-1]
    message = (
        f"The Resource '{kind}/{name}' under resource group '{call.names.get('group', '')}' "
        "was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix"
    )
    return arm_fault(404, "ResourceNotFound", message)


def new_id() -> str:
    """A name for an operation, a VM or a request."""
    return str(uuid.uuid4())
