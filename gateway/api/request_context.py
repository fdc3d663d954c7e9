"""What a handler of VMs needs of one request, in a few words: who, what path, what body."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from aiohttp import web
from msgspec import Raw

from gateway.api.access import sees
from gateway.api.http import media, paging, short_list
from gateway.api.http.body_fields import BODY
from gateway.api.http.links import Linker
from gateway.api.representations.virtualmachines import Viewer
from gateway.api.request_bodies import as_object, checked_text
from gateway.api.services import CALLER, SERVICES
from gateway.api.vms.vm_updates import VmUpdater
from gateway.caller import Caller
from gateway.denial import ApiError, ErrorKind
from gateway.events.event import Event, emit
from gateway.store.db.paged import Page, PageRequest
from gateway.store.db.pool import Connection, Store
from gateway.store.vms import VmScope

_ABSENT = {
    "vdc": "VDC-0",
    "vapp": "VAPP-0",
    "vm": "VM-1",
    "machine": "MACHINE-0",
    "cluster": "CLUSTER-0",
    "tier": "DSTIER-0",
}
_NUMBER = re.compile(r"[0-9]{1,18}")
_TEXT_MAX = 1024


class RequestContext:
    """One request in a handler's hands."""

    def __init__(self, request: web.Request) -> None:
        self.request = request
        self.services = request.app[SERVICES]
        self.caller: Caller = request[CALLER]
        self.links = Linker.of(request)

    @property
    def store(self) -> Store:
        """The store."""
        return self.services.store

    @property
    def writer(self) -> VmUpdater:
        """Who changes something, and where."""
        return VmUpdater(self.store, self.caller, self.services.capabilities)

    @property
    def viewer(self) -> Viewer:
        """Who reads, and over which links."""
        return Viewer(self.links, self.caller, self.services.capabilities)

    def ids(self, *names: str) -> tuple[int, ...]:
        """Numbers of the path; ApiError with the resource's own code for what is none."""
        found = []
        for name in names:
            given = self.request.match_info[name]
            if not _NUMBER.fullmatch(given):
                code = _ABSENT.get(name, "404-NOT-FOUND")
                raise ApiError(ErrorKind.ABSENT, code, f"There is no {name} with that id")
            found.append(int(given))
        return tuple(found)

    def vm_path(self) -> tuple[int, int, int]:
        """The numbers that name a VM."""
        vdc, vapp, vm = self.ids("vdc", "vapp", "vm")
        return vdc, vapp, vm

    def task_id(self) -> UUID:
        """The task that the path names; ApiError TASK-1 for what is no uuid."""
        try:
            return UUID(self.request.match_info["task"])
        except ValueError as error:
            raise ApiError(ErrorKind.ABSENT, "TASK-1", "The task does not exist") from error

    def query_text(self, name: str) -> str | None:
        """A text of the query, None when it is not there or empty."""
        given = self.request.query.get(name)
        return checked_text(given, name, _TEXT_MAX) if given else None

    def query_number(self, name: str) -> int | None:
        """A number of the query, which was checked before; None when it is not there."""
        given = self.request.query.get(name)
        return None if given is None else int(given)

    def require_sight(self, enterprise: int) -> None:
        """ApiError EN-0 unless this enterprise exists for the caller."""
        if not sees(self.caller, enterprise):
            raise ApiError(ErrorKind.ABSENT, "EN-0", "The enterprise does not exist")

    def sort(self, sorts: Collection[str], *, by: str, ascending: bool) -> PageRequest:
        """Which page is asked for, sorted by one of `sorts`."""
        return paging.read(self.request.query, sorts, by=by, ascending=ascending)

    def scoped(self, scope: VmScope, sorts: Collection[str]) -> tuple[VmScope, PageRequest]:
        """A scope narrowed by the query's `has`, `name` and `vmlabel`, and the page asked for."""
        sort = self.sort(sorts, by="name", ascending=True)
        text = self.query_text
        narrowed = replace(scope, has=text("has"), name=text("name"), label=text("vmlabel"))
        return narrowed, sort

    async def tell(self, c: Connection, event: Event) -> None:
        """Put an event about something that the caller did into the feed."""
        by = self.caller
        await emit(c, replace(event, user_id=by.user_id, user=by.nick))

    async def json(self) -> object:
        """The body as JSON of a media type of ours."""
        if BODY in self.request:
            return self.request[BODY]
        return await media.json_body(self.request)

    async def optional_json(self) -> Mapping[str, Any] | None:
        """The body as a JSON object; None for no body, and for `null`."""
        if BODY in self.request:
            body = self.request[BODY]
        else:
            body = await media.json_body(self.request, optional=True)
        return None if body is None else as_object(body)

    async def text_or_json(self) -> object:
        """The body as JSON where it says it is, else as text; None for no body."""
        return await media.text_or_json(self.request)

    def preferred(self, usual: str, other: str) -> str:
        """`other` when the client asks for it by name and not for `usual`, else `usual`."""
        accept = self.request.headers.get("Accept", "")
        if f"application/vnd.abiquo.{usual}+json" in accept:
            return usual
        return other if f"application/vnd.abiquo.{other}+json" in accept else usual

    def ok(self, kind: str, body: Mapping[str, Any]) -> web.Response:
        """200 with a body of that media type."""
        return media.reply(self.request, kind, body)

    def created(self, kind: str, body: Mapping[str, Any]) -> web.Response:
        """201 with what was made."""
        return media.reply(self.request, kind, body, status=201)

    def accepted(self, body: Mapping[str, Any], warning: str | None = None) -> web.Response:
        """202 with links to the tasks, and with a warning in its header if there is one."""
        answer = media.reply(self.request, "acceptedrequest", body, status=202)
        answer.headers.update(_header(warning))
        return answer

    def nothing(self, warning: str | None = None) -> web.Response:
        """204, with a warning in the header of that name if there is one."""
        return web.Response(status=204, headers=_header(warning))

    def whole(self, kind: str, rows: Sequence[Mapping[str, Any]]) -> web.Response:
        """200 with a short collection: the part of it that the query asks for, or all."""
        return self.ok(kind, short_list.body(self.request, self.links, rows))

    def page(
        self, kind: str, rows: Sequence[Mapping[str, Any] | Raw], page: Page[Any], sort: PageRequest
    ) -> web.Response:
        """200 with one page of a collection, whose rows are shown so."""
        return self.ok(kind, paging.body(self.request, self.links, rows, page, sort))


def _header(warning: str | None) -> dict[str, str]:
    return {} if warning is None else {"Warning": f'199 vmgate "{warning}"'}
