"""Addresses of simulated hosts: `sim://NAME?cpus=32&ram_mib=131072`, or a name or IP by itself."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from drivers.addresses import Address, AddressError, Reader, checked, flag, read_host
from drivers.simulated.options import HostSize

CPUS_MAX = 65_536
RAM_MIB_MAX = 2**30
_URI = re.compile(r"sim://(?P<host>[^/?#@]+)/?(?:\?(?P<query>[^#]*))?", re.IGNORECASE)
_SETTING = re.compile(r"(?P<key>[a-z_]{1,16})=(?P<value>[0-9]{1,10})")
_LIMITS = {"cpus": CPUS_MAX, "ram_mib": RAM_MIB_MAX}


def reader(options: Mapping[str, Any]) -> Reader:
    """What reads addresses under these options; ValueError for an option that is wrong."""
    local = flag(options, "local_addresses")
    return lambda address: parse(address, local=local)[0]


def parse(address: str, *, local: bool) -> tuple[Address, HostSize]:
    """The address and the size it asks for; raises AddressError."""
    found = _URI.fullmatch(checked(address))
    if found is None and "://" in address:
        raise AddressError("sim://NAME?cpus=NUMBER&ram_mib=NUMBER is the form that is needed")
    host = read_host(address if found is None else found["host"], local=local)
    size = HostSize() if found is None or not found["query"] else _size(found["query"])
    return Address(address, f"sim:{host}"), size


def _size(query: str) -> HostSize:
    given: dict[str, int] = {}
    for each in query.split("&"):
        setting = _SETTING.fullmatch(each)
        if setting is None or setting["key"] not in _LIMITS:
            raise AddressError("the query may hold cpus=NUMBER and ram_mib=NUMBER only")
        key, value = setting["key"], int(setting["value"])
        if key in given:
            raise AddressError(f"duplicate parameter: {key}")
        if not 1 <= value <= _LIMITS[key]:
            raise AddressError(f"{key} must be a number from 1 to {_LIMITS[key]}")
        given[key] = value
    return replace(HostSize(), **given)
