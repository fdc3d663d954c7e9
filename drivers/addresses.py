"""What may stand in a host's address: names and IP literals, before any library reads them.

Each driver parses its own addresses (`address.py` of its package) with what is here. An address
comes from strangers: libvirt runs programs that an address names, resolvers take 127.0.0.1 in a
dozen notations. So only what is known to be harmless passes, and nothing is passed on unread.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
ADDRESS_MAX = 1024
NAME_MAX = 253
LOCAL = "localhost"
"""The endpoint of this machine, however it is called."""
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOCAL_NAMES = frozenset(
    {LOCAL, "localhost.localdomain", "localhost6", "localhost6.localdomain6"}
    | {"localhost4", "localhost4.localdomain4", "ip6-localhost", "ip6-loopback", "loopback"}
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")
_HOW_TO_ALLOW = "set local_addresses in the options of its hypervisor block to allow that"


class AddressError(ValueError):
    """Why an address is refused: a sentence that does not repeat it, since it may hold secrets."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address that was read. `text` is what goes to the library, put together anew.

    `endpoint` is equal for all spellings of one place. `host` is the name or IP address that a
    connection goes to, empty where the driver opens none to it.
    """

    text: str
    endpoint: str
    host: str = ""


Reader = Callable[[str], Address]
"""Reads the addresses of one hypervisor block; raises AddressError."""


def checked(address: str) -> str:
    """The address, if it has no more than ADDRESS_MAX characters, all of them visible ASCII."""
    if not address or len(address) > ADDRESS_MAX:
        raise AddressError(f"an address of 1 to {ADDRESS_MAX} characters is needed")
    if _PRINTABLE.fullmatch(address) is None:
        raise AddressError(
            "only visible ASCII characters are allowed; write other names in their xn-- form"
        )
    return address


def read_host(text: str, *, local: bool) -> str:
    """A host's name or IP literal in its one spelling: lower case, without a trailing dot.

    Unless `local`, those that mean this machine or its own network link are refused.
    """
    name = text.lower()
    if name.startswith("[") and name.endswith("]"):
        return _literal(_ipv6(name[1:-1]), local)
    if ":" in name:
        return _literal(_ipv6(name), local)
    name = name.removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _literal(_ipv4(name), local)
    if len(name) > NAME_MAX or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressError(
            "a host name is needed: labels of letters, digits, hyphens and underscores"
        )
    if not local and _is_local_name(name):
        raise AddressError(f"the name is one of this machine; {_HOW_TO_ALLOW}")
    return name


def read_port(text: str) -> int:
    """A port, 1 to 65535, without leading zeros."""
    if re.fullmatch(r"[1-9][0-9]{0,4}", text) is None or int(text) > 65535:
        raise AddressError("the port must be a number from 1 to 65535")
    return int(text)


def require_remote(addresses: Iterable[str]) -> None:
    """Refuse when one of what a name resolves to is local. Zone ids (%eth0) are links' own."""
    for each in addresses:
        _require_remote(ipaddress.ip_address(each.partition("%")[0]))


def endpoint_host(host: str) -> str:
    """The host as an endpoint names it: one name for all loopback addresses."""
    with suppress(ValueError):
        found = ipaddress.ip_address(host)
        return LOCAL if str(found) in ("127.0.0.1", "::1") else str(found)
    return LOCAL if host in _LOCAL_NAMES else host


def flag(options: Mapping[str, Any], name: str) -> bool:
    """A boolean among a block's options, false when left out; raises ValueError."""
    found = options.get(name, False)
    if not isinstance(found, bool):
        raise ValueError(f"{name} must be of type bool")
    return found


def bracketed(host: str) -> str:
    """The host as a URI wants it."""
    return f"[{host}]" if ":" in host else host


def _ipv4(text: str) -> IpAddress:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        raise AddressError(
            "an IPv4 address is written as four decimal numbers with dots between"
        ) from None


def _ipv6(text: str) -> IpAddress:
    try:
        found = ipaddress.IPv6Address(text)
    except ValueError:
        raise AddressError("the IPv6 address is not valid") from None
    if found.scope_id is not None:
        raise AddressError("an IPv6 address with a zone is not allowed")
    return found.ipv4_mapped or found


def _literal(found: IpAddress, local: bool) -> str:
    if not local:
        _require_remote(found)
    return str(found)


def _require_remote(found: IpAddress) -> None:
    for each in (found, *_embedded(found)):
        what = _local_kind(each)
        if what:
            raise AddressError(f"the address is {what}; {_HOW_TO_ALLOW}")


def _embedded(found: IpAddress) -> Iterable[IpAddress]:
    """The IPv4 addresses that packets to an IPv6 address may end at."""
    if isinstance(found, ipaddress.IPv4Address):
        return
    if found.ipv4_mapped is not None:
        yield found.ipv4_mapped
    if found.sixtofour is not None:
        yield found.sixtofour
    if found.teredo is not None:
        yield from found.teredo
    if found in _NAT64 or (found in _COMPATIBLE and int(found) > 1):
        yield ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)


def _local_kind(found: IpAddress) -> str:
    """Why an IP address is not one of a host elsewhere; empty when it may be."""
    if found.is_unspecified or found in _THIS_NETWORK:
        return "unspecified"
    if found.is_loopback:
        return "a loopback address"
    if found.is_link_local or (isinstance(found, ipaddress.IPv6Address) and found.is_site_local):
        return "link-local"
    if found.is_multicast or str(found) == "255.255.255.255":
        return "a multicast or broadcast address"
    return "one of this machine" if _is_own(found) else ""


def _is_own(found: IpAddress) -> bool:
    """Whether it is an address of this machine: then the kernel would answer from it.

    Connecting a datagram socket sends nothing; it only asks for the route.
    """
    family = socket.AF_INET if found.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((str(found), 9))
            return ipaddress.ip_address(asking.getsockname()[0]) == found
    except OSError:  # no route, or no IPv6 here: then it is not ours
        return False


def _is_local_name(name: str) -> bool:
    own = socket.gethostname().lower().removesuffix(".")
    return name in _LOCAL_NAMES or name.endswith(".localhost") or name == own
