"""Every URL of the workload rules and what they are about, on one screen: method, path, function,
needs."""

from gateway.api.auth.guard import Access
from gateway.api.http.problems import Handler
from gateway.api.representations.rules import RULE_WORDS
from gateway.api.rules import (
    all_rules,
    clusters,
    datastoretiers,
    layers,
    offered_tiers,
    reservations,
    rules,
    tier_members,
)
from gateway.config.privileges import Privilege

Route = tuple[str, str, Handler, str | Access]

_ANY = Access.LOGGED_IN
_SEE = Privilege.PHYS_DC_ENUMERATE.value
_RULES = Privilege.PHYS_DC_RULES.value
_EDIT = Privilege.VAPP_CUSTOMISE_SETTINGS.value
_D = "/admin/datacenters/{dc}"
_C = f"{_D}/racks/{{rack}}/clusters"
_T = f"{_D}/datastoretiers"
_ONE = f"{_T}/{{tier}}"
_L = "/cloud/locations/{dc}/datastoretiers"
_E = "/admin/enterprises/{enterprise}"
_LAYERS = "/cloud/virtualdatacenters/{vdc}/virtualappliances/{vapp}/layers"

_KINDS: tuple[Route, ...] = tuple(
    route
    for kind, (resource, _) in RULE_WORDS.items()
    for route in (
        ("GET", f"/admin/rules/{resource}", rules.lister(kind), _SEE),
        ("POST", f"/admin/rules/{resource}", rules.creator(kind), _RULES),
        ("GET", f"/admin/rules/{resource}/{{rule}}", rules.reader(kind), _SEE),
        ("PUT", f"/admin/rules/{resource}/{{rule}}", rules.editor(kind), _RULES),
        ("DELETE", f"/admin/rules/{resource}/{{rule}}", rules.deleter(kind), _RULES),
    )
    if (kind, route[0]) != ("enterprise_exclusion", "PUT")  # there is nothing to tune
)

RULE_ROUTES: tuple[Route, ...] = (
    ("GET", "/admin/rules", all_rules.read, _SEE),
    ("POST", "/admin/rules", all_rules.replace, _RULES),
    *_KINDS,
    ("GET", _C, clusters.list_all, _SEE),
    ("POST", _C, clusters.create, _RULES),
    ("GET", f"{_C}/{{cluster}}", clusters.read, _SEE),
    ("PUT", f"{_C}/{{cluster}}", clusters.edit, _RULES),
    ("DELETE", f"{_C}/{{cluster}}", clusters.delete, _RULES),
    ("GET", _T, datastoretiers.list_all, _SEE),
    ("POST", _T, datastoretiers.create, _RULES),
    ("GET", _ONE, datastoretiers.read, _SEE),
    ("PUT", _ONE, datastoretiers.edit, _RULES),
    ("DELETE", _ONE, datastoretiers.delete, _RULES),
    ("GET", f"{_ONE}/datastores", tier_members.list_datastores, _SEE),
    ("PUT", f"{_ONE}/action/adddatastores", tier_members.add_datastores, _RULES),
    ("PUT", f"{_ONE}/action/releasedatastores", tier_members.release_datastores, _RULES),
    ("GET", f"{_ONE}/enterprises", tier_members.list_enterprises, _SEE),
    ("POST", f"{_ONE}/enterprises", tier_members.admit_enterprises, _RULES),
    ("DELETE", f"{_ONE}/enterprises/{{enterprise}}", tier_members.dismiss_enterprise, _RULES),
    ("PUT", f"{_ONE}/action/allowallenterprises", tier_members.allow_all, _RULES),
    ("PUT", f"{_ONE}/action/restrictallenterprises", tier_members.restrict_all, _RULES),
    ("GET", _L, offered_tiers.list_all, _ANY),
    ("PUT", f"{_L}/action/compatibles", offered_tiers.compatibles, _ANY),
    ("GET", f"{_L}/{{tier}}", offered_tiers.read, _ANY),
    ("PUT", _E, reservations.edit_enterprise, _RULES),
    ("GET", f"{_E}/reservedmachines", reservations.list_all, _SEE),
    ("POST", f"{_E}/reservedmachines", reservations.create, _RULES),
    ("DELETE", f"{_E}/reservedmachines/{{machine}}", reservations.delete, _RULES),
    ("GET", _LAYERS, layers.list_all, _ANY),
    ("POST", _LAYERS, layers.create, _EDIT),
    ("GET", f"{_LAYERS}/{{layer}}", layers.read, _ANY),
    ("PUT", f"{_LAYERS}/{{layer}}", layers.edit, _EDIT),
    ("DELETE", f"{_LAYERS}/{{layer}}", layers.delete, _EDIT),
)
