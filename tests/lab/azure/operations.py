"""Long-running operations: accepted now, done after so many looks, so many seconds, or a release.

A look is any GET that concerns the operation: a poll of it, a GET of its resource, a listing. So
nobody has to sleep, and an operation whose starter died goes on for whoever looks next.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.lab.azure.replies import Body, Call, Reply, new_id


def now() -> str:
    """The time as Azure writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "0+00:00")


def nothing() -> None:
    """An operation that changes nothing when it ends."""


@dataclass(slots=True)
class Operation:
    """One of them. `target` is the id in lower case of what it changes."""

    what: str
    target: str
    location: str
    provider: str = "Microsoft.Compute"
    done: Callable[[], None] = nothing
    failed: Callable[[], None] = nothing
    error: Body | None = None
    looks: int = 0
    due_s: float = 0.0
    held: bool = False
    lost: bool = False
    status: str = "InProgress"
    polls: int = 0
    output: Body | None = None
    id: str = field(default_factory=new_id)
    started: str = field(default_factory=now)
    ended: str = ""

    def look(self) -> None:
        """Somebody looks; it may end by that."""
        if self.status != "InProgress" or self.held:
            return
        if self.looks > 0 or time.monotonic() < self.due_s:
            self.looks -= 1
            return
        self.finish()

    def finish(self) -> None:
        """It ends now, as it must."""
        if self.status != "InProgress":
            return
        self.held = False
        self.status = "Failed" if self.error else "Succeeded"
        self.ended = now()
        (self.failed if self.error else self.done)()

    def preempt(self) -> None:
        """A newer operation on the same resource took its place; it changes nothing any more."""
        if self.status == "InProgress":
            message = "Operation execution has been preempted by a more recent operation."
            self.error = {"code": "OperationPreempted", "message": message}
            self.failed = nothing
            self.finish()

    def url(self, call: Call, *, monitor: bool = False) -> str:
        """Where to ask for it; `monitor` asks for its result."""
        version = call.query.get("api-version", "")
        subscription = call.names["subscription"]
        where = f"{call.base}/subscriptions/{subscription}/providers/{self.provider}"
        query = f"{'monitor=true&' if monitor else ''}api-version={version}"
        return f"{where}/locations/{self.location}/operations/{self.id}?{query}"

    def body(self) -> Body:
        """What a poll of it says."""
        if self.provider == "Microsoft.Network":
            return {"status": self.status, **({"error": self.error} if self.error else {})}
        said: Body = {"startTime": self.started}
        if self.ended:
            said["endTime"] = self.ended
        said["status"] = self.status
        if self.status == "Failed":
            said["error"] = self.error
        elif self.status == "Succeeded" and self.output is not None:
            said["properties"] = {"output": self.output}
        said["name"] = self.id
        return said


def accepted(
    operation: Operation, call: Call, reply: Reply, *, result: bool = False, notify: bool = True
) -> Reply:
    """The reply with the operation's headers; `result` adds where its result will be."""
    reply.headers["Azure-AsyncOperation"] = operation.url(call)
    if result:
        reply.headers["Location"] = operation.url(call, monitor=True)
    if notify:
        reply.headers["Azure-AsyncNotification"] = "Enabled"
    return reply
