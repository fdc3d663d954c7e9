"""Whether two replies are alike but for what differs each time: ids, times, counts, versions.

Alike are: the status; which of Azure's headers are there, the shape of their URLs and the names in
them; the body's keys, types and order of states; and every value that is not named in `_FREE`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.lab.azure.recordings import ARM

_HEADERS = (
    "azure-asyncoperation",
    "azure-asyncnotification",
    "location",
    "retry-after",
    "etag",
    "content-type",
    "www-authenticate",
    "x-ms-failure-cause",
    "x-ms-original-request-ids",
    "x-ms-ratelimit-remaining-resource",
    "x-ms-ratelimit-remaining-subscription-deletes",
    "x-ms-ratelimit-remaining-subscription-reads",
    "x-ms-ratelimit-remaining-subscription-writes",
)
_VARIES = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}"), "{id}"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00"), "{time}"),
    (re.compile(r"/resourceGroups/[A-Z0-9_-]+/"), "/resourceGroups/{CAPITALS}/"),
    (re.compile(r"(\dMin);\d+"), r"\1;{left}"),
)
# Words for people, and what is of an image, a guest or a network and not of how Azure behaves.
_FREE = {
    "message", "exactVersion", "osVersion", "vmAgentVersion", "typeHandlerVersion", "count",
    "internalDomainNameSuffix", "numberOfCores", "resourceDiskSizeInMB", "osDiskSizeInMB",
    "memoryInMB", "maxDataDiskCount", "limit", "currentValue",
}  # fmt: skip


def _plain(text: str) -> str:
    for pattern, word in _VARIES:
        text = pattern.sub(word, text)
    return text


def _headers(headers: Mapping[str, str], base: str) -> dict[str, str]:
    said = {name.lower(): value for name, value in headers.items()}
    told = {name: said[name].replace(base, ARM) for name in _HEADERS if name in said}
    return {
        name: "{count}" if name.endswith(("writes", "deletes", "reads")) else _plain(value)
        for name, value in told.items()
    }


def differences(recorded: Any, answered: Any, base: str) -> Iterator[str]:
    """What is not alike; both have `status`, `headers` and `text`. `base` is our URL."""
    if recorded.status != answered.status:
        yield f"status {recorded.status} is {answered.status}: {answered.text[:300]}"
        return
    before, after = _headers(recorded.headers, ARM), _headers(answered.headers, base)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"header {name}: {before.get(name)} is {after.get(name)}"
    if bool(recorded.text) != bool(answered.text):
        yield f"body: {recorded.text[:80]!r} is {answered.text[:80]!r}"
    elif recorded.text:
        ours = json.loads(answered.text.replace(base, ARM))
        yield from _unlike("", json.loads(recorded.text), ours)
        if ("\r\n" in recorded.text) != ("\r\n" in answered.text):
            yield "body: written in another way"


def _unlike(where: str, recorded: Any, answered: Any) -> Iterator[str]:
    if type(recorded) is not type(answered):
        yield f"{where}: {recorded!r} is {answered!r}"
    elif isinstance(recorded, dict):
        for name in sorted(recorded.keys() ^ answered.keys()):
            yield f"{where}/{name}: only {'recorded' if name in recorded else 'answered'}"
        for name in recorded.keys() & answered.keys():
            if name not in _FREE or type(recorded[name]) is not type(answered[name]):
                yield from _unlike(f"{where}/{name}", recorded[name], answered[name])
    elif isinstance(recorded, list):
        yield from _unlike_lists(where, recorded, answered)
    elif isinstance(recorded, str):
        if _plain(recorded) != _plain(answered):
            yield f"{where}: {recorded!r} is {answered!r}"
    elif recorded != answered:
        yield f"{where}: {recorded!r} is {answered!r}"


def _unlike_lists(where: str, recorded: list[Any], answered: list[Any]) -> Iterator[str]:
    if where.endswith("/vmSizes") or _is_catalogue(recorded):
        recorded, answered = [_nameless(recorded[0])], [_nameless(each) for each in answered[:1]]
    if len(recorded) != len(answered):
        yield f"{where}: {len(recorded)} are {len(answered)}"
        return
    for number, (one, other) in enumerate(zip(recorded, answered, strict=True)):
        yield from _unlike(f"{where}/{number}", one, other)


def _is_catalogue(found: list[Any]) -> bool:
    """A list of sizes: which there are is no matter of how Azure behaves."""
    return bool(found) and isinstance(found[0], dict) and "numberOfCores" in found[0]


def _nameless(one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "name": ""}
