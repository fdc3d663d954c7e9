"""Every URL but those of VMs, tasks, events and rules, on one screen: method, path, function,
needs."""

from gateway.api import datacenters, enterprises, machines, virtualdatacenters
from gateway.api.auth import login
from gateway.api.auth.guard import Access
from gateway.api.capacity import decisions
from gateway.api.empty_routes import EMPTY_ROUTES
from gateway.api.http.problems import Handler
from gateway.api.rules import default_tiers
from gateway.api.rules.rule_routes import RULE_ROUTES
from gateway.api.rules.ruleset_routes import RULESET_ROUTES
from gateway.api.vms import virtualappliances
from gateway.config.privileges import Privilege

Route = tuple[str, str, Handler, str | Access]

_ANY = Access.LOGGED_IN
_SEE = Privilege.PHYS_DC_ENUMERATE.value
_CHANGE = Privilege.PHYS_DC_MANAGE.value
_RULES = Privilege.PHYS_DC_RULES.value
_VDC = Privilege.VDC_MANAGE.value
_EDIT = Privilege.VAPP_CUSTOMISE_SETTINGS.value
_E = "/admin/enterprises"
_L = "/cloud/locations"
_V = "/cloud/virtualdatacenters"
_A = f"{_V}/{{vdc}}/virtualappliances"
_D = "/admin/datacenters"
_H = f"{_D}/{{dc}}/racks/{{rack}}/machines"
_TEMPLATE = (
    f"{_E}/{{enterprise}}/datacenterrepositories/{{dc}}/virtualmachinetemplates/{{template}}"
)

CATALOG_ROUTES: tuple[Route, ...] = (
    ("GET", "/version", login.version, Access.PUBLIC),
    ("GET", "/login", login.login, _ANY),
    ("POST", "/logout", login.logout, _ANY),
    ("GET", "/config/hypervisortypes", login.hypervisortypes, _ANY),
    ("GET", "/config/hypervisortypes/{type}", login.hypervisortype, _ANY),
    ("GET", _E, enterprises.list_all, _ANY),
    ("GET", f"{_E}/{{enterprise}}", enterprises.read, _ANY),
    ("GET", f"{_E}/{{enterprise}}/users", enterprises.list_users, _ANY),
    ("GET", f"{_E}/{{enterprise}}/users/{{user}}", enterprises.read_user, _ANY),
    ("GET", _TEMPLATE, default_tiers.read_template, _ANY),
    ("PUT", _TEMPLATE, default_tiers.edit_template, _RULES),
    ("GET", _L, enterprises.list_locations, _ANY),
    ("GET", f"{_L}/{{dc}}", enterprises.read_location, _ANY),
    ("GET", f"{_L}/{{dc}}/templates", enterprises.location_templates, _ANY),
    ("GET", _V, virtualdatacenters.list_all, _ANY),
    ("POST", _V, virtualdatacenters.create, _VDC),
    ("GET", f"{_V}/{{vdc}}", virtualdatacenters.read, _ANY),
    ("PUT", f"{_V}/{{vdc}}", virtualdatacenters.edit, _VDC),
    ("DELETE", f"{_V}/{{vdc}}", virtualdatacenters.delete, _VDC),
    ("GET", f"{_V}/{{vdc}}/action/templates", virtualdatacenters.list_templates, _ANY),
    ("GET", f"{_V}/{{vdc}}/privatenetworks", virtualdatacenters.list_networks, _ANY),
    ("GET", f"{_V}/{{vdc}}/privatenetworks/{{network}}", virtualdatacenters.read_network, _ANY),
    ("GET", "/cloud/virtualappliances", virtualappliances.list_all, _ANY),
    ("GET", _A, virtualappliances.list_of_vdc, _ANY),
    ("POST", _A, virtualappliances.create, _EDIT),
    ("GET", f"{_A}/{{vapp}}", virtualappliances.read, _ANY),
    ("PUT", f"{_A}/{{vapp}}", virtualappliances.edit, _EDIT),
    ("DELETE", f"{_A}/{{vapp}}", virtualappliances.delete, _EDIT),
    ("GET", f"{_A}/{{vapp}}/state", virtualappliances.read_state, _ANY),
    ("GET", _D, datacenters.list_all, _SEE),
    ("GET", f"{_D}/{{dc}}", datacenters.read, _SEE),
    ("GET", f"{_D}/{{dc}}/racks", datacenters.list_racks, _SEE),
    ("GET", f"{_D}/{{dc}}/racks/{{rack}}", datacenters.read_rack, _SEE),
    ("GET", f"{_D}/{{dc}}/datastores", datacenters.list_datastores, _SEE),
    ("GET", f"{_D}/{{dc}}/datastores/{{datastore}}", datacenters.read_datastore, _SEE),
    ("PUT", f"{_D}/{{dc}}/datastores/{{datastore}}", datacenters.edit_datastore, _CHANGE),
    ("GET", _H, machines.list_all, _SEE),
    ("POST", _H, machines.create, _CHANGE),
    ("GET", f"{_H}/{{machine}}", machines.read, _SEE),
    ("PUT", f"{_H}/{{machine}}", machines.edit, _CHANGE),
    ("DELETE", f"{_H}/{{machine}}", machines.delete, _CHANGE),
    ("GET", f"{_H}/{{machine}}/datastores", machines.list_datastores, _SEE),
    ("GET", f"{_H}/{{machine}}/action/checkstate", machines.check_state, _SEE),
    ("GET", "/admin/decisions", decisions.list_all, _ANY),
    ("GET", "/admin/decisions/{decision}", decisions.read, _ANY),
    ("GET", "/admin/decisions/{decision}/table", decisions.table, _SEE),
    *EMPTY_ROUTES,
    *RULE_ROUTES,
    *RULESET_ROUTES,
)
