"""Every error is errors+json, whoever raised it; only here does a denial get its status."""

import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from gateway.api.http import media
from gateway.api.http.links import Linker
from gateway.api.http.request_checks import check_request
from gateway.api.representations.decisions import decision_link
from gateway.denial import ApiError, ErrorKind
from gateway.store.db.pool import CommitUnknown, StoreError

_log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STATUS = {
    ErrorKind.INVALID: 400,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.ABSENT: 404,
    ErrorKind.NOT_ACCEPTABLE: 406,
    ErrorKind.CONFLICT: 409,
    ErrorKind.PRECONDITION: 412,
    ErrorKind.UNSUPPORTED: 415,
    ErrorKind.UNAVAILABLE: 503,
    ErrorKind.TOO_MANY: 429,
    ErrorKind.TIMEOUT: 408,
}
_ROUTER = {
    400: "400-BAD-REQUEST",
    404: "404-NOT-FOUND",
    405: "405-METHOD-NOT-ALLOWED",
    413: "413-REQUEST-ENTITY-TOO-LARGE",
}
RETRY_AFTER_S = 1


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what handlers and the router raise into errors+json."""
    try:
        check_request(request)
        return await handler(request)
    except ApiError as denied:
        return _denied(request, denied)
    except web.HTTPException as http:
        if http.status < 400:
            raise
        code = _ROUTER.get(http.status, f"{http.status}-{http.reason.upper().replace(' ', '-')}")
        headers = {"Allow": http.headers["Allow"]} if "Allow" in http.headers else {}
        message = _ROUTER_MESSAGES.get(http.status, http.reason)
        return _answer(request, http.status, _problem(code, message), headers)
    except CommitUnknown as unknown:
        _log.warning("%s %s: kept or not: %s", request.method, request.path, unknown)
        said = "It is not known whether this request was accepted; check before you repeat it"
        return _answer(request, 503, _problem("503-COMMIT-UNKNOWN", said))
    except StoreError as away:
        _log.warning("%s %s: the store is away: %s", request.method, request.path, away)
        return _answer(
            request,
            503,
            _problem(
                "503-SERVICE-UNAVAILABLE",
                "The store does not answer; nothing was accepted; try again",
            ),
            {"Retry-After": str(RETRY_AFTER_S)},
        )
    except Exception:
        _log.exception("%s %s failed", request.method, request.path)
        return _answer(
            request,
            500,
            _problem("500-INTERNAL-SERVER-ERROR", "An unexpected error; it was logged"),
        )


_ROUTER_MESSAGES = {
    404: "There is no resource at this address",
    405: "This address does not support that method",
    413: f"The body is larger than {media.BODY_MAX} bytes",
}


def _denied(request: web.Request, denied: ApiError) -> web.Response:
    headers = {}
    if denied.kind is ErrorKind.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = 'Basic realm="Abiquo"'
    if denied.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(denied.retry_after_s)))
    problem = _problem(denied.code, denied.message)
    if denied.field is not None:
        problem["field"] = denied.field
    links = []
    if denied.task is not None:
        links.append(_task_link(request, denied.task))
    if denied.decision is not None:
        links.append(decision_link(Linker.of(request), denied.decision))
    return _answer(request, STATUS[denied.kind], problem, headers, links)


def refusal(status: int, code: str, message: str) -> web.Response:
    """An errors+json answer to what never became a request of ours."""
    body = {"links": [], "collection": [_problem(code, message)]}
    return media.reply(None, "errors", body, status)


def _problem(code: str, message: str) -> dict[str, str]:
    return {"code": code, "message": message}


def _answer(
    request: web.Request,
    status: int,
    problem: dict[str, str],
    headers: dict[str, str] | None = None,
    links: Sequence[Mapping[str, Any]] = (),
) -> web.Response:
    body = {"links": list(links), "collection": [problem]}
    return media.reply(request, "errors", body, status, headers)


def _task_link(request: web.Request, task: str) -> dict[str, Any]:
    """The task in the way, below the VM the request was about."""
    path = request.path.split("/api/", 1)[-1]
    for cut in ("/action/", "/state"):
        path = path.split(cut, 1)[0]
    return Linker.of(request).link("status", f"{path}/tasks/{task}", "task", title="status")
