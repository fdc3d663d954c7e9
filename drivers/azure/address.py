"""Addresses of places in Azure: `REGION`, or `REGION/ZONE` for one of its zones."""

import re
from collections.abc import Mapping
from typing import Any

from drivers.addresses import ADDRESS_MAX, Address, AddressError, Reader

_PLACE = re.compile(r"(?P<region>[A-Za-z][A-Za-z0-9 ]{0,63})(?:/ ?(?P<zone>[1-9][0-9]?) ?)?")


def reader(options: Mapping[str, Any]) -> Reader:
    """What reads addresses in the subscription of these options."""
    subscription = str(options.get("subscription", ""))
    return lambda address: parse(address, subscription)


def parse(address: str, subscription: str) -> Address:
    """The place; its region as Azure writes it, in lower case without spaces."""
    found = _PLACE.fullmatch(address) if len(address) <= ADDRESS_MAX else None
    if found is None:
        raise AddressError("REGION or REGION/ZONE is needed, such as westeurope/1")
    region, zone = found["region"].replace(" ", "").lower(), found["zone"]
    place = region if zone is None else f"{region}/{zone}"
    return Address(place, f"azure:{subscription.lower()}/{place}")
