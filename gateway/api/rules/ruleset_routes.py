"""The URLs of rule sets and of the cluster's file: method, path, function, needs."""

from gateway.api.auth.guard import Access
from gateway.api.capacity import cluster_export
from gateway.api.http.problems import Handler
from gateway.api.rules import rule_drafts, rulesets
from gateway.config.privileges import Privilege

Route = tuple[str, str, Handler, str | Access]

_SEE = Privilege.PHYS_DC_ENUMERATE.value
_RULES = Privilege.PHYS_DC_RULES.value
_ALL = Privilege.ENTERPRISE_ADMINISTER_ALL.value
_R = "/admin/rulesets"
_D = f"{_R}/drafts"
_ONE = f"{_D}/{{draft}}"

RULESET_ROUTES: tuple[Route, ...] = (
    ("GET", "/admin/cluster", cluster_export.read, _ALL),
    ("GET", _R, rulesets.list_all, _SEE),
    ("POST", _R, rule_drafts.create, _RULES),
    ("POST", f"{_R}/action/validate", rule_drafts.validate, _RULES),
    ("POST", f"{_R}/action/simulate", rule_drafts.simulate, _RULES),
    ("GET", _D, rule_drafts.list_all, _SEE),
    ("GET", _ONE, rule_drafts.read, _SEE),
    ("PUT", _ONE, rule_drafts.edit, _RULES),
    ("DELETE", _ONE, rule_drafts.delete, _RULES),
    ("POST", f"{_ONE}/action/validate", rule_drafts.validate, _RULES),
    ("POST", f"{_ONE}/action/simulate", rule_drafts.simulate, _RULES),
    ("GET", f"{_ONE}/action/diff", rule_drafts.compare, _SEE),
    ("POST", f"{_ONE}/action/activate", rule_drafts.activate, _RULES),
    ("GET", f"{_R}/{{ruleset}}", rulesets.read, _SEE),
    ("GET", f"{_R}/{{ruleset}}/action/diff", rulesets.compare, _SEE),
    ("POST", f"{_R}/{{ruleset}}/action/rollback", rulesets.roll_back, _RULES),
)
