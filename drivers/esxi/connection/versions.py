"""The newest version of the API that both the server and pyvmomi speak."""

import xml.etree.ElementTree as ET
from http.client import HTTPException

from pyVmomi.VmomiSupport import versionIdMap

from drivers.esxi.connection.tls import NoConnection, context_of, scheme_of
from drivers.esxi.options import EsxiOptions

_PATH = "/sdk/vimServiceVersions.xml"
_SIZE_MAX = 1_000_000
Numbers = tuple[int, ...]


def negotiate(options: EsxiOptions, timeout_s: float) -> str:
    """pyvmomi's name of the version; raises OSError, HTTPException, or ValueError for none."""
    known = _known()
    if options.api_version:
        wanted = known.get(_numbers(options.api_version) or ())
        if wanted is None:
            raise ValueError(f"api_version {options.api_version} is not known")
        return wanted
    offered = _offered(_fetch(options, timeout_s))
    both = sorted(offered & known.keys())
    if not both:
        raise ValueError("it supports no version of the vSphere API that vmgate supports")
    return known[both[-1]]


def _fetch(options: EsxiOptions, timeout_s: float) -> bytes:
    connection = scheme_of(options)(
        host=options.host, port=options.port, timeout=timeout_s, context=context_of(options)
    )
    try:
        connection.request("GET", _PATH)
        reply = connection.getresponse()
        if reply.status != 200:
            raise HTTPException(f"{reply.status} {reply.reason}")
        return bytes(reply.read(_SIZE_MAX))
    except (OSError, HTTPException) as failed:
        raise NoConnection(str(failed)) from failed  # nothing was asked of the API yet
    finally:
        connection.close()


def _offered(document: bytes) -> set[Numbers]:
    try:
        root = ET.fromstring(document)
    except ET.ParseError as wrong:
        raise ValueError("its list of API versions is not XML") from wrong
    spaces = [each for each in root.findall("namespace") if each.findtext("name") == "urn:vim25"]
    found = (_numbers(each.text or "") for space in spaces for each in space.iter("version"))
    return {numbers for numbers in found if numbers}


def _known() -> dict[Numbers, str]:
    return {
        numbers: name
        for name, text in versionIdMap.items()
        if name.startswith("vim.version.") and (numbers := _numbers(text))
    }


def _numbers(text: str) -> Numbers | None:
    """7.0 and 7.0.0.0 are one version."""
    parts = text.strip().split(".")
    if not all(part.isdigit() for part in parts):
        return None
    numbers = [int(part) for part in parts]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
