"""What a body may hold: each route declares its fields, and what is not declared is refused.

A field of Abiquo's own model that is not driven here is passed over while it asks for nothing: at
its default, or at the value that a GET gives. Any other value is refused by its name.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from gateway.api.http import body_reader, media
from gateway.api.http.query_fields import near
from gateway.denial import ApiError, ErrorKind

BODY = web.RequestKey("body", object)
"""The body as it was decoded to be checked."""
Shown = Callable[[web.Request], Awaitable[web.StreamResponse]]

SHOWN_MAX = 128
"""Characters of a path that a refusal repeats."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of an object: `takes` those that are read, each with the fields of the objects in
    it, None where its reader checks what is in it; `model` those of Abiquo's, with their defaults
    (None: empty). `links`: whether it has links."""

    takes: Mapping[str, "Fields | None"] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    links: bool = True

    def known(self) -> frozenset[str]:
        """Every name that may be there."""
        return frozenset({*self.takes, *self.model, *(("links",) if self.links else ())})


def takes(names: str, **inner: Fields) -> Mapping[str, Fields | None]:
    """Fields that are read: these names, and those with fields of their own."""
    return {**dict.fromkeys(names.split()), **inner}


LINK = frozenset(
    takes("rel href type title allowed length hreflang diskControllerType diskController diskLabel")
)
OBSERVED = frozenset(
    takes(
        "state idState displayState previousState lastKnownState stateReason power deallocated "
        "lockedSince progress lastSynchronize error usedSize size cpuUsed ramUsed virtualCpusUsed "
        "virtualRamUsedInMb cpuMeasuredInMhz ramMeasuredInMb cpuLimit ramLimit overLimit reachable "
        "observedAt version"
    )
)
"""Fields that change by themselves: in a representation given back later they may have."""


@dataclass(frozen=True, slots=True)
class Own:
    """A body that its reader checks whole: a rule set, as JSON or TOML."""


@dataclass(frozen=True, slots=True)
class Body:
    """An object of these fields. `of`: the path whose GET gives what may be given back, None for
    nothing. `text`: plain text is as good."""

    fields: Fields
    of: str | None = None
    text: bool = False


OWN = Own()
_A_LINK = Fields(takes(" ".join(sorted(LINK))), links=False)
EMPTY = Body(Fields(links=False))
"""Nothing is taken; null and an empty object are as good as no body."""


async def require_declared(request: web.Request, body: Body | Own, shown: Shown | None) -> None:
    """Raise ApiError 400 for a field that is not declared and 409 for one that is not offered.

    The error names the field by its path. `shown` gives what a GET of the same thing gives.
    """
    if isinstance(body, Own) or not (await body_reader.read(request)).strip():
        return
    given = await (media.text_or_json(request) if body.text else media.json_body(request))
    request[BODY] = given
    if not isinstance(given, Mapping):
        return  # its reader says what it must be
    wrong = _wrong(given, body.fields, "", {})
    if wrong is not None and shown is not None:
        try:
            known = await _representation(shown, request)
        except ApiError as absent:
            raise (wrong if wrong.kind is ErrorKind.INVALID else absent) from absent
        back = OBSERVED if _names_itself(given, known) else frozenset()
        wrong = _wrong(given, body.fields, "", known, back)
    if wrong is not None:
        raise wrong


def _wrong(
    given: Mapping[str, Any],
    fields: Fields,
    where: str,
    known: Mapping[str, Any],
    back: frozenset[str] = frozenset(),
) -> ApiError | None:
    """The first field that is neither read nor, at its default or as it is `known`, to be passed
    over; whatever `back` names may have changed since."""
    for name, value in given.items():
        path = f"{where}{name}"
        if name == "links" and fields.links:
            found = _wrong_link(value, path)
        elif name in fields.takes:
            found = _wrong_inside(value, fields.takes[name], path, known.get(name))
        elif name in back or _passes(name, value, fields.model):
            found = None
        elif name in known:
            at = _difference(value, known[name], path, back)
            found = None if at is None else _not_offered(at)
        else:
            found = _not_offered(path) if name in fields.model else _unknown(path, fields)
        if found is not None:
            return found
    return None


def _wrong_inside(value: object, fields: Fields | None, path: str, known: Any) -> ApiError | None:
    """The same of the objects in a field: of itself, or of each in a list."""
    if fields is None:
        return None
    if isinstance(value, Mapping):
        return _wrong(value, fields, f"{path}.", known if isinstance(known, Mapping) else {})
    if not isinstance(value, list):
        return None  # its reader says what it must be
    inner = fields.takes.get("collection") or fields
    for n, each in enumerate(value):
        if isinstance(each, Mapping):
            found = _wrong(each, inner, f"{path}[{n}].", {})
            if found is not None:
                return found
    return None


def _wrong_link(value: object, path: str) -> ApiError | None:
    for n, link in enumerate(value if isinstance(value, list) else ()):
        for name in link if isinstance(link, Mapping) else ():
            if name not in LINK:
                return _unknown(f"{path}[{n}].{name}", _A_LINK)
    return None


def _passes(name: str, value: object, model: Mapping[str, Any]) -> bool:
    """Whether a field of Abiquo's is at its default."""
    return name in model and (_empty(value) or (model[name] is not None and value == model[name]))


def _empty(value: object) -> bool:
    """Whether a value asks for nothing; some clients write 0 and false as texts."""
    match value:
        case Mapping():
            return all(_empty(each) for each in value.values())
        case str():
            return value.strip().lower() in ("", "0", "false")
        case _:
            return not value


def _difference(given: Any, known: Any, path: str, back: frozenset[str]) -> str | None:
    """Where a value is another than the known one; what is left out is no difference, and links
    are looked at by who reads them."""
    match given, known:
        case Mapping(), Mapping():
            for name, value in given.items():
                if name == "links" or name in back:
                    continue
                at = _difference(value, known.get(name), f"{path}.{name}", back)
                if at is not None:
                    return at
            return None
        case list(), list() if len(given) == len(known):
            for n, (one, other) in enumerate(zip(given, known, strict=True)):
                at = _difference(one, other, f"{path}[{n}]", back)
                if at is not None:
                    return at
            return None
        case _:
            same = given == known or (_empty(given) and _empty(known)) or given == str(known)
            return None if same else path


async def _representation(shown: Shown, request: web.Request) -> Mapping[str, Any]:
    """What a GET gives now."""
    answer = await shown(request)
    assert isinstance(answer, web.Response)
    assert isinstance(answer.body, bytes)
    found = msgspec.json.decode(answer.body)
    return found if isinstance(found, Mapping) else {}


def _names_itself(given: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Whether a body has the link that the thing itself has: so it is what a GET gave before."""
    return bool(_addresses(given) & _addresses(known))


def _addresses(body: Mapping[str, Any]) -> set[str]:
    links = body.get("links")
    return {
        urlsplit(str(link.get("href"))).path
        for link in (links if isinstance(links, list) else ())
        if isinstance(link, Mapping) and link.get("rel") in ("edit", "self")
    }


def _not_offered(path: str) -> ApiError:
    shown = _shortened(path)
    message = f"{shown}: not offered here; only its default or present value is taken"
    return ApiError(ErrorKind.CONFLICT, "409-CONFLICT", message, field=shown)


def _unknown(path: str, fields: Fields) -> ApiError:
    shown, known = _shortened(path), fields.known()
    takes = f"; it takes {', '.join(sorted(fields.takes))}" if fields.takes else "; it takes none"
    meant = near(path.rpartition(".")[2], known) or takes
    message = f"{shown}: this request has no such field{meant}"
    return ApiError(ErrorKind.INVALID, "400-BAD-REQUEST", message, field=shown)


def _shortened(path: str) -> str:
    return path if len(path) <= SHOWN_MAX else f"{path[:SHOWN_MAX]}..."
