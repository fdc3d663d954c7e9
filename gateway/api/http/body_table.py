"""Which body fields each route takes, beside the route tables; all others are refused.

A route that is not named here takes no body, and a test tells that it was forgotten. Abiquo's
resources pass over what Abiquo has and vmgate does not drive, at its default; ours are strict.
"""

from collections.abc import Mapping

from gateway.api.http import abiquo_fields as abiquo
from gateway.api.http.body_fields import EMPTY, OWN, Body, Fields, Own, takes
from gateway.api.representations.rules import RULE_WORDS

_E = "/admin/enterprises/{enterprise}"
_T = f"{_E}/datacenterrepositories/{{dc}}/virtualmachinetemplates/{{template}}"
_V = "/cloud/virtualdatacenters"
_VV = f"{_V}/{{vdc}}"
_A = f"{_VV}/virtualappliances"
_AA = f"{_A}/{{vapp}}"
_L = f"{_AA}/layers"
_M = f"{_AA}/virtualmachines"
_MM = f"{_M}/{{vm}}"
_K = f"{_MM}/tasks/{{task}}/action"
_D = "/admin/datacenters/{dc}"
_H = f"{_D}/racks/{{rack}}/machines"
_C = f"{_D}/racks/{{rack}}/clusters"
_S = f"{_D}/datastoretiers"
_SS = f"{_S}/{{tier}}"
_RULES = "/admin/rules"
_SETS = "/admin/rulesets"
_DRAFT = f"{_SETS}/drafts/{{draft}}"
_HOLD = "/admin/holds/{hold}"
_PLAN = "/admin/plans/{plan}"


def _collection(of: Fields) -> Fields:
    """A collection of such objects, as a list or as Abiquo wraps it."""
    return Fields({**takes("totalSize"), "collection": of})


def _again(fields: Fields) -> Fields:
    """The same with the id that a GET gave."""
    return Fields({**fields.takes, "id": None}, fields.model, links=fields.links)


LINKS = Body(Fields())
VM = Fields(takes("label description cpu ram coresPerSocket variables"), abiquo.VIRTUAL_MACHINE)
_TASK = "forceEnterpriseSoftLimits forceVdcLimits forceUndeploy"
# One public client sends the whole VM to have it deployed or undeployed.
VM_TASK = Body(Fields(takes(_TASK), abiquo.VIRTUAL_MACHINE), of=_MM)
VM_DEPLOY = Body(Fields(takes(f"{_TASK} hold"), abiquo.VIRTUAL_MACHINE), of=_MM)
APPLIANCE = Fields(takes("name description iconUrl"), abiquo.VIRTUAL_APPLIANCE)
NETWORK = Fields(takes("name tag address mask gateway"), abiquo.NETWORK)
STATE = Fields(takes("state gracefulShutdown forceAfter azureMode"))
LAYER = Fields(takes("name"), abiquo.LAYER)
CLUSTER = Fields(takes("name"), abiquo.CLUSTER)
TIER = Fields(
    takes("name description enabled storageAllocationPolicy defaultAllowed defaultForDatacenter"),
    abiquo.DATASTORE_TIER,
)
MACHINE = Fields(
    takes(
        "name ip ipService description type hypervisor state networks",
        datastores=_collection(Fields(takes("name"), {**abiquo.DATASTORE, "enabled": True})),
    ),
    abiquo.MACHINE,
)
# A machine to be reserved is named by its link, and may be given as GET gives it.
RESERVED = Fields(
    takes(
        "hypervisor product version reachable reason observedAt networks movedBy cpuLimit ramLimit "
        "overLimit cpuMeasuredInMhz ramMeasuredInMb " + " ".join(abiquo.MACHINE)
    )
)
RULES: Mapping[str, Fields] = {
    "machine_load": Fields(
        takes("cpuLoadPercentage ramLoadPercentage aggregated"), abiquo.MACHINE_LOAD_RULE
    ),
    "datastore_load": Fields(takes("storageLoadPercentage"), abiquo.DATASTORE_LOAD_RULE),
    "fit_policy": Fields(takes("fitPolicy packing"), abiquo.FIT_POLICY_RULE),
    "enterprise_exclusion": Fields(model=abiquo.ENTERPRISE_EXCLUSION_RULE),
}
RULE_ROOT = Fields(
    takes(
        "",
        machineLoadRules=_collection(_again(RULES["machine_load"])),
        datastoreLoadRules=_collection(_again(RULES["datastore_load"])),
        fitPolicyRules=_collection(_again(RULES["fit_policy"])),
        enterpriseExclusionRules=_collection(_again(RULES["enterprise_exclusion"])),
    ),
    abiquo.RULES,
)
HELD = Fields(takes("count cpu ram disk type network"))
HOLD = Fields(takes("name ttl", virtualmachines=_collection(HELD)))
PLAN = Fields(takes("kind restInSeconds movesMaxPercent savedMin gainMinPercent pinned"))
COMMENT = Body(Fields(takes("comment"), links=False))

BODIES: Mapping[tuple[str, str], Body | Own] = {
    ("POST", "/logout"): EMPTY,
    ("PUT", _E): Body(Fields(takes("name isReservationRestricted"), abiquo.ENTERPRISE), of=_E),
    ("POST", f"{_E}/reservedmachines"): Body(RESERVED),
    ("DELETE", f"{_E}/reservedmachines/{{machine}}"): EMPTY,
    ("PUT", _T): Body(Fields(model=abiquo.TEMPLATE), of=_T),
    ("PUT", "/cloud/locations/{dc}/datastoretiers/action/compatibles"): LINKS,
    ("POST", _V): Body(
        Fields(takes("name hypervisorType", network=NETWORK), abiquo.VIRTUAL_DATACENTER)
    ),
    ("PUT", _VV): Body(Fields(takes("name"), abiquo.VIRTUAL_DATACENTER), of=_VV),
    ("DELETE", _VV): EMPTY,
    ("POST", _A): Body(APPLIANCE),
    ("PUT", _AA): Body(APPLIANCE, of=_AA),
    ("DELETE", _AA): EMPTY,
    ("POST", f"{_AA}/action/deploy"): Body(
        Fields(takes(f"{_TASK} hold"), abiquo.VIRTUAL_APPLIANCE), of=_AA
    ),
    ("POST", f"{_AA}/action/undeploy"): Body(
        Fields(takes(_TASK), abiquo.VIRTUAL_APPLIANCE), of=_AA
    ),
    ("POST", _L): Body(LAYER),
    ("PUT", f"{_L}/{{layer}}"): Body(LAYER, of=f"{_L}/{{layer}}"),
    ("DELETE", f"{_L}/{{layer}}"): EMPTY,
    ("POST", _M): Body(VM),
    ("PUT", _MM): Body(VM, of=_MM),
    ("DELETE", _MM): EMPTY,
    ("PUT", f"{_MM}/metadata"): Body(Fields(model={"metadata": None})),
    ("PUT", f"{_MM}/tags"): Body(Fields(model={"collection": None, "totalSize": None})),
    ("PUT", f"{_MM}/state"): Body(STATE, of=f"{_MM}/state"),
    ("POST", f"{_MM}/state"): Body(STATE, of=f"{_MM}/state"),
    ("POST", f"{_MM}/action/deploy"): VM_DEPLOY,
    ("POST", f"{_MM}/action/undeploy"): VM_TASK,
    ("POST", f"{_MM}/action/reset"): VM_TASK,
    ("POST", f"{_MM}/action/redeploy"): VM_TASK,
    ("POST", f"{_MM}/action/protect"): Body(Fields(takes("reason")), text=True),
    ("POST", f"{_MM}/action/unprotect"): EMPTY,
    ("POST", f"{_MM}/action/relocate"): Body(Fields(takes("hold"))),
    ("POST", f"{_K}/ack"): EMPTY,
    ("POST", f"{_K}/cancel"): Body(Fields(takes("reason")), text=True),
    ("POST", f"{_K}/continue"): EMPTY,
    ("POST", f"{_K}/resolve"): Body(Fields(takes("outcome"), links=False)),
    ("PUT", f"{_D}/datastores/{{datastore}}"): Body(
        Fields(takes("enabled"), abiquo.DATASTORE), of=f"{_D}/datastores/{{datastore}}"
    ),
    ("POST", _C): Body(CLUSTER),
    ("PUT", f"{_C}/{{cluster}}"): Body(CLUSTER, of=f"{_C}/{{cluster}}"),
    ("DELETE", f"{_C}/{{cluster}}"): EMPTY,
    ("POST", _H): Body(MACHINE),
    ("PUT", f"{_H}/{{machine}}"): Body(
        Fields(takes("state description ip ipService"), abiquo.MACHINE), of=f"{_H}/{{machine}}"
    ),
    ("DELETE", f"{_H}/{{machine}}"): EMPTY,
    ("POST", _S): Body(TIER),
    ("PUT", _SS): Body(TIER, of=_SS),
    ("DELETE", _SS): EMPTY,
    ("PUT", f"{_SS}/action/adddatastores"): LINKS,
    ("PUT", f"{_SS}/action/releasedatastores"): LINKS,
    ("POST", f"{_SS}/enterprises"): LINKS,
    ("DELETE", f"{_SS}/enterprises/{{enterprise}}"): EMPTY,
    ("PUT", f"{_SS}/action/allowallenterprises"): EMPTY,
    ("PUT", f"{_SS}/action/restrictallenterprises"): EMPTY,
    ("DELETE", "/admin/leftovers/{leftover}"): EMPTY,
    ("POST", "/admin/holds"): Body(HOLD),
    ("DELETE", _HOLD): EMPTY,
    ("POST", f"{_HOLD}/action/renew"): Body(Fields(takes("ttl"), links=False)),
    ("POST", "/admin/plans"): Body(PLAN),
    ("POST", f"{_PLAN}/action/approve"): Body(Fields(takes("moves"), links=False)),
    ("POST", f"{_PLAN}/action/cancel"): EMPTY,
    ("POST", _RULES): Body(RULE_ROOT),
    **{
        ("POST", f"{_RULES}/{words[0]}"): Body(_again(RULES[kind]))
        for kind, words in RULE_WORDS.items()
    },
    **{
        ("PUT", f"{_RULES}/{words[0]}/{{rule}}"): Body(
            RULES[kind], of=f"{_RULES}/{words[0]}/{{rule}}"
        )
        for kind, words in RULE_WORDS.items()
        if kind != "enterprise_exclusion"
    },
    **{("DELETE", f"{_RULES}/{words[0]}/{{rule}}"): EMPTY for words in RULE_WORDS.values()},
    ("POST", _SETS): OWN,
    ("POST", f"{_SETS}/action/validate"): OWN,
    ("POST", f"{_SETS}/action/simulate"): OWN,
    ("PUT", _DRAFT): OWN,
    ("DELETE", _DRAFT): EMPTY,
    ("POST", f"{_DRAFT}/action/validate"): EMPTY,
    ("POST", f"{_DRAFT}/action/simulate"): EMPTY,
    ("POST", f"{_DRAFT}/action/activate"): COMMENT,
    ("POST", f"{_SETS}/{{ruleset}}/action/rollback"): COMMENT,
}
"""By method and path below /api; a GET takes none."""

HEED_IF_MATCH = frozenset(
    {
        ("PUT", _DRAFT),
        ("DELETE", _DRAFT),
        ("POST", f"{_DRAFT}/action/activate"),
        ("POST", f"{_SETS}/{{ruleset}}/action/rollback"),
    }
)
"""The routes that change something only while it is as the caller last saw it."""
