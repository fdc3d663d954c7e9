"""What befalls calls to the simulator: refusals, lost replies, failing operations, false looks."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

KINDS = {
    "reply": "refused with a status and a code; nothing is done",
    "drop": "the connection ends; nothing is done",
    "dropafter": "it is done, and the connection ends without a reply",
    "hold": "it waits until the rule is released, then is done",
    "holdafter": "it is done, and the reply waits until the rule is released",
    "fail": "the operation is accepted and fails with a code",
    "hang": "the operation is accepted and goes on until the rule is released",
    "lost": "the operation is accepted, done in time, and unknown to whoever polls it",
    "empty": "a listing holds nothing",
    "partial": "a listing holds every second VM, without a nextLink",
    "stale": "it is answered as the first such call was",
    "nopower": "no status says PowerState/",
    "creating": "provisioningState is Creating though the VM runs",
    "garbage": "the body is the rule's message, and of the rule's media type",
    "nowhere": "no header says where an operation is asked for",
    "astray": "headers and pages lead to another subscription at the same address",
    "absent": "a VM that is there is answered 404",
}


@dataclass(slots=True)
class Rule:
    """Befalls calls until it is used up or removed. `of` is a call such as "POST start" or "*".

    The other words narrow it to a VM's name, a size, a location or a zone where a call has such.
    """

    kind: str
    of: str = "*"
    times: int = 1
    skip: int = 0
    vm: str = ""
    size: str = ""
    location: str = ""
    zone: str = ""
    status: int = 503
    code: str = ""
    message: str = ""
    retry_after: str = ""
    media: str = "application/json"
    hits: int = 0
    befallen: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: list[Callable[[], None]] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)

    def release(self) -> None:
        """What it holds goes on, and it befalls nobody any more."""
        self.times = self.hits or -1
        self.released.set()
        while self.let_go:
            self.let_go.pop()()

    remove = release

    def matches(self, words: dict[str, str]) -> bool:
        """Whether it is about such a call; `words` are the call's own."""
        if self.of not in ("*", words["of"]) or (0 < self.times <= self.hits) or self.times < 0:
            return False
        wanted = {name: getattr(self, name) for name in ("vm", "size", "location", "zone")}
        return all(not value or value == words.get(name, "") for name, value in wanted.items())


class Faults:
    """All rules, the oldest first."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def add(self, kind: str, of: str = "*", **words: object) -> Rule:
        """One more; `KINDS` and `Rule` say what there is. times=0 is for ever."""
        if kind not in KINDS:
            raise ValueError(f"no such fault: {kind}")
        rule = Rule(kind, of, **words)  # type: ignore[arg-type]
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """No faults any more; all that was held goes on."""
        for rule in self.rules:
            rule.release()
        self.rules.clear()

    def befall(self, kinds: tuple[str, ...], words: dict[str, str]) -> Iterator[Rule]:
        """The rules of these kinds that befall a call, each counted."""
        for rule in self.rules:
            if rule.kind in kinds and rule.matches(words):
                if rule.skip > 0:
                    rule.skip -= 1
                    continue
                rule.hits += 1
                rule.befallen.set()
                yield rule
