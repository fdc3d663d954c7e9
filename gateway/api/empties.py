"""What Abiquo's clients follow without asking and vmgate has none of: there, and empty.

Each answers only for what exists for its caller.
"""

from typing import Any

from aiohttp import web

from gateway.api import datacenters, virtualdatacenters
from gateway.api.access import find_vm
from gateway.api.http.problems import Handler
from gateway.api.request_context import RequestContext

OF_VM = {
    "harddisks": ("storage/disks", "harddisks"),
    "volumes": ("storage/volumes", "volumes"),
    "metadata": ("metadata", "metadata"),
    "tags": ("tags", "tags"),
}
"""By rel: the path below the VM, and the media type."""
OF_VDC = {
    "disks": ("disks", "harddisks"),
    "volumes": ("volumes", "volumes"),
    "purchased": ("publicips/purchased", "publicips"),
    "topurchase": ("publicips/topurchase", "publicips"),
}
OF_ENTERPRISE = {"limits": ("limits", "limits")}
OF_DATACENTER = {
    "network": ("network", "vlans"),
    "networkservicetypes": ("networkservicetypes", "networkservicetypes"),
}


def of_vm(media: str) -> Handler:
    """GET, or PUT of nothing: none of a VM."""

    async def read(request: web.Request) -> web.StreamResponse:
        turn = RequestContext(request)
        async with turn.store.read() as c:
            await find_vm(c, turn.vm_path(), turn.caller)
        more: dict[str, Any] = {"metadata": {}} if media == "metadata" else {"collection": []}
        return turn.ok(media, {**more, "links": []})

    return read


def of_vdc(media: str) -> Handler:
    """GET: none of a virtual datacenter."""

    async def read(request: web.Request) -> web.StreamResponse:
        turn = RequestContext(request)
        async with turn.store.read() as c:
            await virtualdatacenters.find(turn, c)
        return turn.whole(media, [])

    return read


def of_enterprise(media: str) -> Handler:
    """GET: none of an enterprise."""

    async def read(request: web.Request) -> web.StreamResponse:
        turn = RequestContext(request)
        turn.require_sight(*turn.ids("enterprise"))
        return turn.whole(media, [])

    return read


def of_datacenter(media: str) -> Handler:
    """GET: none of a datacenter."""

    async def read(request: web.Request) -> web.StreamResponse:
        turn = RequestContext(request)
        async with turn.store.read() as c:
            await datacenters.find(turn, c)
        return turn.whole(media, [])

    return read
