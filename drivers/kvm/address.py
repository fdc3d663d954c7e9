"""Addresses of KVM hosts: `qemu+TRANSPORT://HOST[:PORT]/system` and nothing else of a libvirt URI.

libvirt runs what the query names (`command=`, `netcat=`, `proxy=`), the transport `ext` runs
anything, and other drivers than `qemu` read files. So there is no query, and the transports are
those that the block's options allow.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from drivers.addresses import (
    LOCAL,
    Address,
    AddressError,
    Reader,
    bracketed,
    checked,
    endpoint_host,
    flag,
    read_host,
    read_port,
)

PORTS = {"tls": 16514, "ssh": 22, "tcp": 16509}
"""The transports there are, with their usual ports."""
_FORM = "qemu+tls://HOST/system is the form that is needed"
_URI = re.compile(
    r"qemu(?:\+(?P<transport>[a-z0-9]{1,16}))?://(?:(?P<user>[^@/?#]*)@)?"
    r"(?P<host>\[[^\[\]@/?#]*\]|[^\[\]@:/?#]*)(?::(?P<port>[^@:/?#]*))?"
    r"(?P<path>/[^?#]*)?(?P<rest>[?#].*)?",
    re.IGNORECASE,
)
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")


def transports_of(text: str) -> tuple[str, ...]:
    """The transports in an option's text; ValueError for one that there is not."""
    found = tuple(text.split())
    for each in found:
        if each not in PORTS:
            raise ValueError(f"transports: {each!r} is none of {', '.join(PORTS)}")
    return found


def reader(options: Mapping[str, Any]) -> Reader:
    """What reads addresses under these options; ValueError for an option that is wrong."""
    transports, local = options.get("transports", "tls"), flag(options, "local_addresses")
    if not isinstance(transports, str):
        raise ValueError("transports must be of type str")
    allowed = transports_of(transports)
    return lambda address: parse(address, allowed, local=local)


def parse(address: str, transports: Sequence[str], *, local: bool) -> Address:
    """The address, put together anew from what was read; raises AddressError."""
    found = _URI.fullmatch(checked(address))
    if found is None:
        raise AddressError(_FORM)
    if found["rest"] is not None:
        raise AddressError("nothing may follow the path: no query such as ?command= is allowed")
    if found["path"] != "/system":
        raise AddressError(f"the path must be /system: {_FORM}")
    transport = (found["transport"] or ("tls" if found["host"] else "unix")).lower()
    if transport == "unix":
        return _local_daemon(found, local)
    if transport not in transports:
        raise AddressError(
            f"the transport {transport} is not allowed (transports: {', '.join(transports)})"
        )
    host = read_host(found["host"], local=local)
    user = _user(found["user"], transport)
    port = None if found["port"] is None else read_port(found["port"])
    usual = port in (None, PORTS[transport])
    endpoint = endpoint_host(host) if usual else f"{bracketed(endpoint_host(host))}:{port}"
    at = bracketed(host) if port is None else f"{bracketed(host)}:{port}"
    return Address(f"qemu+{transport}://{user}{at}/system", f"kvm:{endpoint}", host)


def _local_daemon(found: re.Match[str], local: bool) -> Address:
    if found["host"] or found["user"] is not None or found["port"] is not None:
        raise AddressError(_FORM)
    if not local:
        raise AddressError("the libvirtd of this machine is allowed with local_addresses only")
    return Address("qemu:///system", f"kvm:{LOCAL}")


def _user(user: str | None, transport: str) -> str:
    if user is None:
        return ""
    if transport != "ssh" or _USER.fullmatch(user) is None:
        raise AddressError("a user is allowed with ssh only, and without a password")
    return f"{user}@"
