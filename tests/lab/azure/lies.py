"""Replies made false by a fault: listings that lack VMs, states that are not said."""

import json
from typing import Any

from tests.lab.azure.faults import Rule
from tests.lab.azure.replies import Body, Call, Reply, resource_not_found

KINDS = ("empty", "partial", "stale", "nopower", "creating", "garbage", "nowhere", "astray")
OTHER = "11111111-1111-4111-8111-111111111111"
"""A subscription that nobody configured."""
_WHERE = ("Azure-AsyncOperation", "Location")


def absent(call: Call) -> Reply:
    """There is no such VM, says ARM, which may be late."""
    return resource_not_found("Microsoft.Compute/virtualMachines", call).reply


def falsify(rule: Rule, call: Call, reply: Reply) -> None:
    """The reply as the rule will have it."""
    if rule.kind == "garbage":
        reply.raw, reply.media = rule.message, rule.media
    for name in _WHERE if rule.kind in ("nowhere", "astray") else ():
        where = reply.headers.pop(name, "")
        if rule.kind == "astray" and where:
            reply.headers[name] = where.replace(call.names["subscription"], OTHER)
    if rule.kind in ("garbage", "nowhere"):
        return
    if not isinstance(reply.body, dict) or reply.status != 200:
        return
    if rule.kind == "stale":
        key = json.dumps([call.path, sorted(call.query.items())])
        reply.body = json.loads(rule.kept.setdefault(key, json.dumps(reply.body)))
    elif rule.kind == "astray":
        follows = str(reply.body.get("nextLink", f"{call.base}{call.path}?{call.query}"))
        reply.body["nextLink"] = follows.replace(call.names["subscription"], OTHER)
    elif rule.kind in ("empty", "partial"):
        reply.body = {"value": reply.body["value"][::2] if rule.kind == "partial" else []}
    else:
        reply.body = json.loads(json.dumps(reply.body))
        _forget(reply.body, rule.kind)


def _forget(body: Any, kind: str) -> None:
    for part in body if isinstance(body, list) else list(body.values()):
        if isinstance(part, dict | list):
            _forget(part, kind)
    if not isinstance(body, dict):
        return
    if kind == "nopower" and "statuses" in body:
        body["statuses"] = [one for one in body["statuses"] if not _is_power(one)]
    if kind == "creating" and "provisioningState" in body:
        body["provisioningState"] = "Creating"
    if kind == "creating" and str(body.get("code", "")).startswith("ProvisioningState/"):
        body["code"] = "ProvisioningState/creating"


def _is_power(status: Body) -> bool:
    return str(status["code"]).startswith("PowerState/")
