"""What a client says about a VM is read field by field; a wrong one is refused by its name."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gateway.denial import ApiError, ErrorKind
from gateway.lifecycle import VmState

SIZE_MAX = 2**31 - 1
LABEL_MAX = 255
DESCRIPTION_MAX = 4096
CAUSE_MAX = 1024
VARIABLES_MAX = 256
LINKS_MAX = 256
FORCE_AFTER_MAX_S = 86_400
GRACE_DEFAULT_S = 300.0
WANTED_STATES = ("ON", "OFF", "PAUSED")
AZURE_MODES = {"powerOff": False, "deallocate": True}
"""Of a power off, whether it also gives the VM's compute back."""

_DECIMAL = re.compile(r"\s*[0-9]{1,15}\s*", re.ASCII)
# Links that would change the VM's hardware; we build one disk and one interface ourselves.
_HARDWARE = re.compile(
    r"(disk|nic|volume|firewall|loadbalancer|backup)[0-9]*"
    r"|datastoretier(?!0$)[0-9]*|layer[0-9]+|hardwareprofile|dvd|diskslive"
)
# Links of a VM that name what it belongs to: given back they must say the same.
_FIXED = re.compile(
    r"virtualmachinetemplate|virtualappliance|virtualdatacenter|enterprise|location|hypervisortype"
    r"|nic[0-9]+"
)


def invalid(field: str, message: str) -> ApiError:
    """A refusal of one field of the body (or `links[rel]`), with the field's name first."""
    return ApiError(ErrorKind.INVALID, "400-BAD-REQUEST", f"{field}: {message}", field=field)


@dataclass(frozen=True, slots=True)
class BodyLink:
    """A link as a client gave it."""

    rel: str
    href: str


@dataclass(frozen=True, slots=True)
class VmBody:
    """A VM as a client gave it; None where it said nothing. Memory in MiB."""

    label: str | None
    description: str | None
    cpu: int | None
    ram_mib: int | None
    cores_per_socket: int | None
    variables: dict[str, str] | None
    links: tuple[BodyLink, ...]

    def link(self, rel: str) -> BodyLink | None:
        """The first link of that rel."""
        return next((link for link in self.links if link.rel == rel), None)


@dataclass(frozen=True, slots=True)
class StateBody:
    """The state a client asks for; `force_after_s` turns a graceful end into a hard one, `release`
    says whether an end shall give the compute back, None where that was left to us."""

    state: VmState
    graceful: bool
    force_after_s: float | None
    release: bool | None = None


def as_object(body: object) -> Mapping[str, Any]:
    """The body as a JSON object."""
    if not isinstance(body, Mapping):
        raise invalid("body", "a JSON object is needed")
    return body


def text(body: Mapping[str, Any], field: str, longest: int, *, lines: bool = False) -> str | None:
    """A text without control characters (line ends and tabs pass when `lines`)."""
    value = body.get(field)
    if value is None:
        return None
    return checked_text(value, field, longest, lines=lines)


def checked_text(value: object, field: str, longest: int, *, lines: bool = False) -> str:
    """`value` as such a text; refused by `field`'s name otherwise."""
    if not isinstance(value, str):
        raise invalid(field, "a text is needed")
    if len(value) > longest:
        raise invalid(field, f"at most {longest} characters are allowed")
    allowed = "\n\r\t" if lines else ""
    if any(_unprintable(char) and char not in allowed for char in value):
        raise invalid(field, "control characters are not allowed")
    return value


def _unprintable(char: str) -> bool:
    code = ord(char)
    return code < 32 or 127 <= code < 160 or 0xD800 <= code <= 0xDFFF


def as_number(value: object) -> object:
    """A whole number that a client of Abiquo's wrote as text, as a number; all else as it is."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return int(value)
    return value


def whole(body: Mapping[str, Any], field: str, *, texts: bool = False) -> int | None:
    """A whole number from 1 to 2^31-1; with `texts` also as decimal text."""
    value = as_number(body.get(field)) if texts else body.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(field, "a whole number is needed")
    if not 1 <= value <= SIZE_MAX:
        raise invalid(field, f"a number from 1 to {SIZE_MAX} is needed")
    return value


def flag(body: Mapping[str, Any], field: str) -> bool:
    """A boolean, false when left out."""
    value = body.get(field)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise invalid(field, "true or false is needed")
    return value


def links(body: Mapping[str, Any]) -> tuple[BodyLink, ...]:
    """The body's links, each with a rel and an address (empty when left out)."""
    given = body.get("links")
    if given is None:
        return ()
    if not isinstance(given, list) or len(given) > LINKS_MAX:
        raise invalid("links", f"a list of at most {LINKS_MAX} links is needed")
    found = []
    for n, one in enumerate(given):
        if not isinstance(one, Mapping):
            raise invalid(f"links[{n}]", "an object is needed")
        rel, href = one.get("rel"), one.get("href")
        if not isinstance(rel, str):
            raise invalid(f"links[{n}].rel", "a text is needed")
        if not isinstance(href, str | None):
            raise invalid(f"links[{n}].href", "a text is needed")
        found.append(BodyLink(rel, href or ""))
    return tuple(found)


def path_of(link: BodyLink) -> str:
    """The path of a link, without a trailing slash, whatever host it names."""
    try:
        return urlsplit(link.href).path.rstrip("/")
    except ValueError as error:
        raise invalid(f"links[{link.rel}]", "the href is not an address") from error


def id_of(link: BodyLink, resource: str) -> int:
    """The number that ends the link's path after `resource`, such as `.../machines/7`."""
    found = re.search(rf"/{resource}/([0-9]{{1,18}})$", path_of(link))
    if found is None:
        raise invalid(f"links[{link.rel}]", f"the href does not name one of {resource}")
    return int(found[1])


def read_vm(body: object) -> VmBody:
    """A VM's body, for POST and PUT alike; what vmgate does not drive was looked at before."""
    given = as_object(body)
    label = text(given, "label", LABEL_MAX)
    if label is not None and not label.strip():
        raise invalid("label", "a blank label is not allowed")
    return VmBody(
        label=label,
        description=text(given, "description", DESCRIPTION_MAX, lines=True),
        cpu=whole(given, "cpu", texts=True),
        ram_mib=whole(given, "ram", texts=True),
        cores_per_socket=whole(given, "coresPerSocket", texts=True),
        variables=_variables(given),
        links=links(given),
    )


def _variables(body: Mapping[str, Any]) -> dict[str, str] | None:
    given = body.get("variables")
    if given is None:
        return None
    if not isinstance(given, Mapping) or len(given) > VARIABLES_MAX:
        raise invalid("variables", f"an object of at most {VARIABLES_MAX} texts is needed")
    return {
        checked_text(name, "variables", LABEL_MAX): checked_text(
            value, "variables", DESCRIPTION_MAX, lines=True
        )
        for name, value in given.items()
    }


def refuse_hardware(given: Iterable[BodyLink]) -> None:
    """Refuse, on creation, links that ask for hardware of the client's own choice."""
    for link in given:
        if _HARDWARE.fullmatch(link.rel):
            raise invalid(
                f"links[{link.rel}]",
                "disks and interfaces follow from the template and the default network",
            )


def refuse_changed(given: Iterable[BodyLink], shown: Iterable[Mapping[str, Any]]) -> None:
    """Refuse links that would change the VM's hardware or owner; `shown` are those GET gives."""
    current = {link["rel"]: path_of(BodyLink(link["rel"], link["href"])) for link in shown}
    for link in given:
        if _FIXED.fullmatch(link.rel) and link.rel in current:
            if link.href and path_of(link) != current[link.rel]:
                raise invalid(f"links[{link.rel}]", "this link cannot be changed")
        elif _HARDWARE.fullmatch(link.rel):
            raise invalid(f"links[{link.rel}]", "this hardware cannot be added or changed")


def read_state(body: object) -> StateBody:
    """The body of PUT state."""
    given = as_object(body)
    state = given.get("state")
    if state not in WANTED_STATES:
        raise invalid("state", f"one of {', '.join(WANTED_STATES)} is needed")
    graceful = flag(given, "gracefulShutdown")
    if graceful and state != "OFF":
        raise invalid("gracefulShutdown", "it goes with the state OFF only")
    force_after = _force_after(given)
    if force_after is not None and not graceful:
        raise invalid("forceAfter", "it goes with gracefulShutdown only")
    return StateBody(VmState(state), graceful, force_after, _release(given, state))


def _release(body: Mapping[str, Any], state: str) -> bool | None:
    mode = body.get("azureMode")
    if mode is None:
        return None
    if not isinstance(mode, str) or mode not in AZURE_MODES:
        raise invalid("azureMode", f"one of {', '.join(AZURE_MODES)} is needed")
    if state != "OFF":
        raise invalid("azureMode", "it goes with the state OFF only")
    return AZURE_MODES[mode]


def _force_after(body: Mapping[str, Any]) -> float | None:
    value = body.get("forceAfter")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid("forceAfter", "a number of seconds is needed")
    if not 0 < value <= FORCE_AFTER_MAX_S:
        raise invalid("forceAfter", f"more than 0 and at most {FORCE_AFTER_MAX_S} s are allowed")
    return float(value)


def read_cause(body: object) -> str:
    """The reason for a protection: plain text, a JSON text, or an object with `reason`."""
    given = body.get("reason") if isinstance(body, Mapping) else body
    if given is None:
        raise invalid("reason", "a reason is needed")
    cause = checked_text(given, "reason", CAUSE_MAX)
    if not cause.strip():
        raise invalid("reason", "a reason is needed")
    return cause.strip()
