"""The URLs of what fits, what is held, left and planned: method, path, function, needs."""

from gateway.api.auth.guard import Access
from gateway.api.capacity import headroom, holds, leftovers, plans
from gateway.api.http.problems import Handler
from gateway.config.privileges import Privilege

Route = tuple[str, str, Handler, str | Access]

_SEE = Privilege.PHYS_DC_ENUMERATE.value
_CHANGE = Privilege.PHYS_DC_MANAGE.value
_H = "/admin/holds"
_L = "/admin/leftovers"
_P = "/admin/plans"

CAPACITY_ROUTES: tuple[Route, ...] = (
    ("GET", "/admin/headroom", headroom.read, _SEE),
    ("GET", _H, holds.list_all, _SEE),
    ("POST", _H, holds.create, _CHANGE),
    ("GET", f"{_H}/{{hold}}", holds.read, _SEE),
    ("DELETE", f"{_H}/{{hold}}", holds.release, _CHANGE),
    ("POST", f"{_H}/{{hold}}/action/renew", holds.renew, _CHANGE),
    ("GET", _L, leftovers.list_all, _SEE),
    ("DELETE", f"{_L}/{{leftover}}", leftovers.forget, _CHANGE),
    ("GET", _P, plans.list_all, _SEE),
    ("POST", _P, plans.create, _CHANGE),
    ("GET", f"{_P}/{{plan}}", plans.read, _SEE),
    ("POST", f"{_P}/{{plan}}/action/approve", plans.approve, _CHANGE),
    ("POST", f"{_P}/{{plan}}/action/cancel", plans.cancel, _CHANGE),
)
