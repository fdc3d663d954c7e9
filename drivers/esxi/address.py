"""Addresses of ESXi hosts: the name or IP address by which the vCenter calls the host."""

from collections.abc import Mapping
from typing import Any

from drivers.addresses import (
    Address,
    AddressError,
    Reader,
    bracketed,
    checked,
    flag,
    read_host,
    read_port,
)

PORT = 443


def reader(options: Mapping[str, Any]) -> Reader:
    """What reads addresses under these options; ValueError for an option that is wrong."""
    server, local = options.get("server") or "", flag(options, "local_addresses")
    if not isinstance(server, str):
        raise ValueError("server must be of type str")
    return lambda address: parse(address, server, local=local)


def parse(address: str, server: str, *, local: bool) -> Address:
    """The address as it is, since the vCenter `server` is asked for it so; raises AddressError."""
    try:
        host = read_host(checked(address), local=local)
    except AddressError as wrong:
        raise AddressError(f"the name that the vCenter has for the host is needed: {wrong}") from (
            None
        )
    return Address(address, f"esxi:{_named(server)}/{host}")


def read_server(server: str) -> tuple[str, int]:
    """The vCenter's host and port, of HOST, HOST:PORT or [IPV6]:PORT; raises AddressError.

    The configuration alone names it, so it may be this machine.
    """
    name, _, port = checked(server).rpartition(":")
    if not name or (":" in name and not name.endswith("]")):
        return read_host(server, local=True), PORT
    return read_host(name, local=True), read_port(port)


def _named(server: str) -> str:
    """The vCenter in an endpoint; empty while the configuration names none."""
    if not server:
        return ""
    host, port = read_server(server)
    return host if port == PORT else f"{bracketed(host)}:{port}"
