"""The fields of the answers over HTTP, by media type."""

from collections import Counter, defaultdict
from typing import Any

from tests.api.vm_client import Api
from tests.compatibility.words import paths

_FIRST = (
    "login",
    "admin/datacenters",
    "admin/enterprises",
    "admin/events?limit=1000",
    "admin/rules",
    "admin/rulesets",
    "admin/rulesets/drafts",
    "admin/holds",
    "admin/plans",
    "admin/decisions?limit=1000",
    "admin/headroom",
    "admin/leftovers",
    "admin/cluster",
    "cloud/locations",
    "cloud/virtualdatacenters",
    "cloud/virtualmachines?limit=1000",
    "cloud/virtualappliances",
    "config/hypervisortypes",
)
_DEPTH = 6
_EACH = 3
"""Links of one rel in answers of one kind that are followed: the others are alike."""
_ALL = ("tasks",)
"""Each of these is followed: no list has them all."""


async def fields(api: Api) -> list[str]:
    """Follow links from the entry points, and return `media type path` of every field seen.

    What is listed is taken from the lists, which have all of them: which of them links lead to
    first is chance.
    """
    found: dict[str, set[str]] = defaultdict(set)
    listed: dict[str, set[str]] = defaultdict(set)
    seen: set[str] = set()
    taken: Counter[tuple[str, str]] = Counter()
    wanted = [(path, 0) for path in _FIRST]
    while wanted:
        path, depth = wanted.pop(0)
        if path in seen:
            continue
        seen.add(path)
        answer = await api.call("GET", path)
        if answer.status != 200 or answer.body is None:
            continue
        kind = _kind(answer.headers["Content-Type"])
        items = answer.body.get("collection") if isinstance(answer.body, dict) else None
        for item in items or ():
            listed[_kind_of(item, kind)] |= _words(item)
        rest = {name: value for name, value in answer.body.items() if name != "collection"}
        found[kind] |= _words(rest)
        for link in _links(answer.body):
            rel = _without_number(link["rel"])
            taken[kind, rel] += 1
            follow = rel in _ALL or taken[kind, rel] <= _EACH
            if depth < _DEPTH and "/api/" in link["href"] and follow:
                wanted.append((link["href"].split("/api/")[1], depth + 1))
    whole = {**found, **listed}
    return sorted(f"{kind} {word}" for kind, some in whole.items() for word in some)


def _words(body: Any) -> set[str]:
    links = {f"link {_without_number(link['rel'])}" for link in _links(body)}
    return {f"{path}" for path in paths(body)} | links


def _kind(media: str) -> str:
    return media.split(";")[0].removeprefix("application/")


def _kind_of(item: Any, kind: str) -> str:
    own = [one for one in _links(item) if one["rel"] in ("edit", "self") and "type" in one]
    return _kind(own[0]["type"]) if own else f"{kind}[]"


def _links(body: Any) -> list[dict[str, Any]]:
    if isinstance(body, list):
        return [link for one in body for link in _links(one)]
    if not isinstance(body, dict):
        return []
    own = [one for one in body.get("links") or () if isinstance(one, dict) and "href" in one]
    return own + [link for name, one in body.items() if name != "links" for link in _links(one)]


def _without_number(rel: str) -> str:
    return rel.rstrip("0123456789")
