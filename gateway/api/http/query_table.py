"""Which query parameters each route takes, beside the route tables; all others are refused.

A route that is not named here takes none, and a test tells that it was forgotten.
"""

from collections.abc import Mapping

from gateway.api.capacity.headroom import MACHINES_MAX
from gateway.api.capacity.hold_body import DISK_MAX
from gateway.api.empty_routes import EMPTY_ROUTES
from gateway.api.http import short_list
from gateway.api.http.query_fields import (
    POSITION_MAX,
    Parameter,
    flag,
    id_of_vm,
    moment,
    number,
    one_of,
    only,
    text,
    uuid,
)
from gateway.api.representations.rules import RULE_WORDS
from gateway.api.request_bodies import SIZE_MAX
from gateway.api.rules.rule_drafts import DAYS_MAX
from gateway.store import tenants, vms
from scheduler.decisions.decision import DecisionOutcome

Query = tuple[Parameter, ...]

_ID_MAX = 10**18 - 1
_ASC = flag("asc")
_PART = (number("startwith"), number("limit"))
_CURSOR = text("cursor")
SEVERITIES = ("INFO", "WARN", "WARNING", "ERROR")

NONE: Query = ()
NAMED: Query = (*_PART, _CURSOR, text("has"), one_of("by", short_list.BY), _ASC)
"""A short list of what has names."""
PAGED: Query = (*_PART, _CURSOR, text("has"), one_of("by", tenants.NAME_SORTS), _ASC)
"""A list that is read page by page."""
VMS: Query = (
    *(*_PART, _CURSOR, text("has"), one_of("by", vms.SORTS), _ASC),
    *(text("name"), text("vmlabel")),
)
EVENTS: Query = (
    *(*_PART, _CURSOR, text("has"), one_of("by", ("timestamp",)), _ASC),
    *(text("entity"), text("entityId"), text("action"), one_of("severity", SEVERITIES)),
    *(text("user"), moment("datefrom"), moment("dateto"), number("after", POSITION_MAX)),
)
DECISIONS: Query = (
    *(*_PART, _CURSOR, one_of("by", ("timestamp",)), _ASC),
    *(id_of_vm("vm"), uuid("task"), one_of("outcome", DecisionOutcome), moment("since")),
)
HEADROOM: Query = (
    *(number("datacenter", SIZE_MAX), text("type"), text("network")),
    *(number("cpu", SIZE_MAX), number("ram", SIZE_MAX), number("disk", DISK_MAX)),
    *(number("enterprise", SIZE_MAX), number("datastoretier", SIZE_MAX)),
    number("limit", MACHINES_MAX),
)
FORCE: Query = (flag("force"),)

_E = "/admin/enterprises"
_EE = f"{_E}/{{enterprise}}"
_U = f"{_EE}/users/{{user}}"
_T = f"{_EE}/datacenterrepositories/{{dc}}/virtualmachinetemplates/{{template}}"
_L = "/cloud/locations"
_V = "/cloud/virtualdatacenters"
_VV = f"{_V}/{{vdc}}"
_A = f"{_VV}/virtualappliances"
_AA = f"{_A}/{{vapp}}"
_M = f"{_AA}/virtualmachines"
_MM = f"{_M}/{{vm}}"
_K = f"{_MM}/tasks"
_D = "/admin/datacenters"
_DD = f"{_D}/{{dc}}"
_R = f"{_DD}/racks"
_H = f"{_R}/{{rack}}/machines"
_HH = f"{_H}/{{machine}}"
_C = f"{_R}/{{rack}}/clusters"
_S = f"{_DD}/datastoretiers"
_SS = f"{_S}/{{tier}}"
_RULES = "/admin/rules"
_SETS = "/admin/rulesets"
_DRAFT = f"{_SETS}/drafts/{{draft}}"
_HOLD = "/admin/holds/{hold}"
_PLAN = "/admin/plans/{plan}"

QUERIES: Mapping[tuple[str, str], Query] = {
    ("GET", "/version"): NONE,
    ("GET", "/login"): (only("expand", "privileges"),),
    ("POST", "/logout"): NONE,
    ("GET", "/config/hypervisortypes"): NAMED,
    ("GET", "/config/hypervisortypes/{type}"): NONE,
    ("GET", _E): PAGED,
    ("GET", _EE): NONE,
    ("PUT", _EE): NONE,
    ("GET", f"{_EE}/users"): NAMED,
    ("GET", _U): NONE,
    ("GET", f"{_EE}/reservedmachines"): NAMED,
    ("POST", f"{_EE}/reservedmachines"): NONE,
    ("DELETE", f"{_EE}/reservedmachines/{{machine}}"): NONE,
    ("GET", f"{_EE}/action/virtualmachines"): VMS,
    ("GET", f"{_U}/action/virtualmachines"): VMS,
    ("GET", f"{_EE}/action/pendingtasks"): NAMED,
    ("GET", f"{_U}/action/pendingtasks"): NAMED,
    ("GET", _T): NONE,
    ("PUT", _T): NONE,
    ("GET", _L): NAMED,
    ("GET", f"{_L}/{{dc}}"): NONE,
    ("GET", f"{_L}/{{dc}}/templates"): NAMED,
    ("GET", f"{_L}/{{dc}}/datastoretiers"): NAMED,
    ("PUT", f"{_L}/{{dc}}/datastoretiers/action/compatibles"): NONE,
    ("GET", f"{_L}/{{dc}}/datastoretiers/{{tier}}"): NONE,
    ("GET", _V): (*PAGED, number("enterprise", _ID_MAX), number("datacenter", _ID_MAX)),
    ("POST", _V): NONE,
    ("GET", _VV): NONE,
    ("PUT", _VV): NONE,
    ("DELETE", _VV): (only("force", "false"),),
    ("GET", f"{_VV}/action/templates"): NAMED,
    ("GET", f"{_VV}/action/virtualmachines"): VMS,
    ("GET", f"{_VV}/privatenetworks"): NAMED,
    ("GET", f"{_VV}/privatenetworks/{{network}}"): NONE,
    ("GET", f"{_VV}/privatenetworks/{{network}}/ips/{{ip}}"): NONE,
    ("GET", "/cloud/virtualappliances"): PAGED,
    ("GET", _A): PAGED,
    ("POST", _A): NONE,
    ("GET", _AA): NONE,
    ("PUT", _AA): NONE,
    ("DELETE", _AA): NONE,
    ("GET", f"{_AA}/state"): NONE,
    ("POST", f"{_AA}/action/deploy"): FORCE,
    ("POST", f"{_AA}/action/undeploy"): FORCE,
    ("GET", f"{_AA}/layers"): NAMED,
    ("POST", f"{_AA}/layers"): NONE,
    ("GET", f"{_AA}/layers/{{layer}}"): NONE,
    ("PUT", f"{_AA}/layers/{{layer}}"): NONE,
    ("DELETE", f"{_AA}/layers/{{layer}}"): NONE,
    ("GET", "/admin/virtualmachines"): VMS,
    ("GET", "/cloud/virtualmachines"): VMS,
    ("GET", _M): VMS,
    ("POST", _M): NONE,
    ("GET", _MM): NONE,
    ("PUT", _MM): FORCE,
    ("DELETE", _MM): (*FORCE, only("release", "false")),
    ("GET", f"{_MM}/state"): NONE,
    ("PUT", f"{_MM}/state"): NONE,
    ("POST", f"{_MM}/state"): NONE,
    ("POST", f"{_MM}/action/deploy"): FORCE,
    ("POST", f"{_MM}/action/undeploy"): FORCE,
    ("POST", f"{_MM}/action/reset"): NONE,
    ("POST", f"{_MM}/action/redeploy"): NONE,
    ("POST", f"{_MM}/action/protect"): NONE,
    ("POST", f"{_MM}/action/unprotect"): NONE,
    ("GET", f"{_MM}/action/relocatecandidates"): NONE,
    ("POST", f"{_MM}/action/relocate"): (only("target", "any"),),
    ("GET", f"{_MM}/network/nics"): NAMED,
    ("GET", f"{_MM}/events"): EVENTS,
    ("GET", _K): NONE,
    ("GET", f"{_K}/{{task}}"): NONE,
    ("POST", f"{_K}/{{task}}/action/ack"): NONE,
    ("POST", f"{_K}/{{task}}/action/cancel"): NONE,
    ("POST", f"{_K}/{{task}}/action/continue"): NONE,
    ("POST", f"{_K}/{{task}}/action/resolve"): NONE,
    ("GET", _D): NAMED,
    ("GET", _DD): NONE,
    ("GET", _R): NAMED,
    ("GET", f"{_R}/{{rack}}"): NONE,
    ("GET", f"{_DD}/datastores"): NAMED,
    ("GET", f"{_DD}/datastores/{{datastore}}"): NONE,
    ("PUT", f"{_DD}/datastores/{{datastore}}"): NONE,
    ("GET", _C): NAMED,
    ("POST", _C): NONE,
    ("GET", f"{_C}/{{cluster}}"): NONE,
    ("PUT", f"{_C}/{{cluster}}"): NONE,
    ("DELETE", f"{_C}/{{cluster}}"): NONE,
    ("GET", _H): NAMED,
    ("POST", _H): NONE,
    ("GET", _HH): NONE,
    ("PUT", _HH): NONE,
    ("DELETE", _HH): NONE,
    ("GET", f"{_HH}/datastores"): NAMED,
    ("GET", f"{_HH}/action/checkstate"): (flag("sync"),),
    ("GET", f"{_HH}/virtualmachines"): (*VMS, flag("sync")),
    ("GET", _S): NAMED,
    ("POST", _S): NONE,
    ("GET", _SS): NONE,
    ("PUT", _SS): NONE,
    ("DELETE", _SS): NONE,
    ("GET", f"{_SS}/datastores"): NAMED,
    ("PUT", f"{_SS}/action/adddatastores"): FORCE,
    ("PUT", f"{_SS}/action/releasedatastores"): FORCE,
    ("GET", f"{_SS}/enterprises"): PAGED,
    ("POST", f"{_SS}/enterprises"): NONE,
    ("DELETE", f"{_SS}/enterprises/{{enterprise}}"): FORCE,
    ("PUT", f"{_SS}/action/allowallenterprises"): NONE,
    ("PUT", f"{_SS}/action/restrictallenterprises"): FORCE,
    ("GET", "/admin/decisions"): DECISIONS,
    ("GET", "/admin/decisions/{decision}"): NONE,
    ("GET", "/admin/decisions/{decision}/table"): NONE,
    ("GET", "/admin/headroom"): HEADROOM,
    ("GET", "/admin/leftovers"): NONE,
    ("DELETE", "/admin/leftovers/{leftover}"): NONE,
    ("GET", "/admin/holds"): NAMED,
    ("POST", "/admin/holds"): NONE,
    ("GET", _HOLD): NONE,
    ("DELETE", _HOLD): NONE,
    ("POST", f"{_HOLD}/action/renew"): NONE,
    ("GET", "/admin/plans"): NONE,
    ("POST", "/admin/plans"): NONE,
    ("GET", _PLAN): NONE,
    ("POST", f"{_PLAN}/action/approve"): NONE,
    ("POST", f"{_PLAN}/action/cancel"): NONE,
    ("GET", _RULES): (number("idDatacenter", _ID_MAX),),
    ("POST", _RULES): (number("idDatacenter", _ID_MAX),),
    **{("GET", f"{_RULES}/{words[0]}"): NONE for words in RULE_WORDS.values()},
    **{("POST", f"{_RULES}/{words[0]}"): NONE for words in RULE_WORDS.values()},
    **{
        (method, f"{_RULES}/{words[0]}/{{rule}}"): NONE
        for kind, words in RULE_WORDS.items()
        for method in ("GET", "PUT", "DELETE")
        if (kind, method) != ("enterprise_exclusion", "PUT")
    },
    ("GET", "/admin/cluster"): NONE,
    ("GET", _SETS): NONE,
    ("POST", _SETS): NONE,
    ("POST", f"{_SETS}/action/validate"): NONE,
    ("POST", f"{_SETS}/action/simulate"): (number("days", DAYS_MAX),),
    ("GET", f"{_SETS}/drafts"): NONE,
    ("GET", _DRAFT): NONE,
    ("PUT", _DRAFT): NONE,
    ("DELETE", _DRAFT): NONE,
    ("POST", f"{_DRAFT}/action/validate"): NONE,
    ("POST", f"{_DRAFT}/action/simulate"): (number("days", DAYS_MAX),),
    ("GET", f"{_DRAFT}/action/diff"): NONE,
    ("POST", f"{_DRAFT}/action/activate"): NONE,
    ("GET", f"{_SETS}/{{ruleset}}"): NONE,
    ("GET", f"{_SETS}/{{ruleset}}/action/diff"): (number("with", POSITION_MAX),),
    ("POST", f"{_SETS}/{{ruleset}}/action/rollback"): NONE,
    **{(method, path): NAMED for method, path, *_ in EMPTY_ROUTES if method == "GET"},
    **{(method, path): NONE for method, path, *_ in EMPTY_ROUTES if method != "GET"},
    ("GET", "/events"): EVENTS,
    ("GET", "/events/{event}"): NONE,
}
"""By method and path below /api."""
