"""The application: every route of the API, each behind the guard with what it needs."""

import asyncio

from aiohttp import web

from gateway.api.auth.guard import (
    AUTHENTICATOR,
    Access,
    close_authenticator,
    guarded,
    make_authenticator,
)
from gateway.api.capacity.capacity_routes import CAPACITY_ROUTES
from gateway.api.catalog_routes import CATALOG_ROUTES
from gateway.api.http import media
from gateway.api.http.body_fields import EMPTY
from gateway.api.http.body_reader import TOML_AT_ONCE, TOML_TURNS
from gateway.api.http.body_table import BODIES, HEED_IF_MATCH
from gateway.api.http.costly_requests import COSTLY, CostlyRequests
from gateway.api.http.problems import Handler, problems
from gateway.api.http.query_table import NONE, QUERIES
from gateway.api.http.reply_headers import set_reply_headers
from gateway.api.http.strict import strict
from gateway.api.services import SERVICES, AppServices
from gateway.api.vms.vm_routes import VM_ROUTES

Route = tuple[str, str, Handler, str | Access]

ROUTES: tuple[Route, ...] = (
    *CATALOG_ROUTES,
    *CAPACITY_ROUTES,
    *(
        (method, path, handler, needs or Access.LOGGED_IN)
        for method, path, handler, needs in VM_ROUTES
    ),
)
"""Method, path below /api, handler, and the privilege it needs. All there are."""


def build_app(services: AppServices) -> web.Application:
    """The API as one aiohttp application, below /api."""
    app = web.Application(
        middlewares=[problems],
        client_max_size=media.BODY_MAX,
        handler_args={"auto_decompress": False},  # `body_reader` unpacks, within its limits
    )
    app.on_response_prepare.append(set_reply_headers)
    app[SERVICES] = services
    app[TOML_TURNS] = asyncio.Semaphore(TOML_AT_ONCE)
    app[AUTHENTICATOR] = make_authenticator(services)
    app.on_cleanup.append(close_authenticator)
    app[COSTLY] = CostlyRequests()
    for method, path, handler, needs in ROUTES:
        through = guarded(_strict(method, path, handler), needs)
        if method == "GET":
            app.router.add_get(f"/api{path}", through)
        else:
            app.router.add_route(method, f"/api{path}", through)
    return app


_READERS = {path: handler for method, path, handler, _ in ROUTES if method == "GET"}


def _strict(method: str, path: str, handler: Handler) -> Handler:
    """A route's handler behind what it declares; what it forgot to declare is not taken."""
    query = QUERIES.get((method, path), NONE)
    body = None if method == "GET" else BODIES.get((method, path), EMPTY)
    of = getattr(body, "of", None)
    takes = ("If-Match",) if (method, path) in HEED_IF_MATCH else ()
    return strict(handler, query, body, None if of is None else _READERS[of], takes)
