"""An event on the wire: Abiquo's trace entity (4.7 and later) with its position in the feed."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from gateway.api.http.links import Linker
from gateway.api.representations.decisions import decision_link, told_advice
from gateway.store.feed.event_queries import StoredEvent

_MEDIA = "application/vnd.abiquo.{}+json"
_ENTITY_MEDIA: Mapping[str, str] = {
    "VIRTUAL_MACHINE": "virtualmachine",
    "VIRTUAL_APPLIANCE": "virtualappliance",
    "VIRTUAL_DATACENTER": "virtualdatacenter",
    "MACHINE": "machine",
    "RACK": "rack",
    "DATACENTER": "datacenter",
    "ENTERPRISE": "enterprise",
    "USER": "user",
    "RULES": "rules",
}


# What tells of no place; all else in the details is for who may know of hosts.
_FOR_ALL = frozenset(
    {
        *("advice", "before", "code", "counts", "decision", "expires", "free", "hold", "layer"),
        *("last_known_state", "on_behalf_of", "protected", "protected_cause", "state", "uuid"),
        *("virtualappliance_id", "virtualmachines"),
    }
)


def event(links: Linker, seen: StoredEvent, *, hosts: bool) -> dict[str, Any]:
    """One event; `position`, `source`, `performedBy`, `onBehalfOf`, `trace` and `details` are
    vmgate's own. Without gaps: positions of the feed are dense, other topics' included.
    Without `hosts` neither message nor details name a place or another tenant."""
    payload = seen.payload
    enterprise_id = payload.get("enterprise_id")
    enterprise_uri = "" if enterprise_id is None else f"/api/admin/enterprises/{enterprise_id}"
    user_id = payload.get("user_id")
    nick = payload.get("user") or ""
    message = (payload.get("told") if not hosts else "") or payload.get("message") or ""
    failed = payload.get("severity") in ("WARN", "ERROR")
    details = {
        key: value
        for key, value in (payload.get("details") or {}).items()
        if hosts or key in _FOR_ALL or (key == "hosts" and isinstance(value, int))
    }
    if "advice" in details:
        details["advice"] = told_advice(details["advice"], hosts=hosts)
    media = _ENTITY_MEDIA.get(seen.entity, "")
    return {
        "id": seen.position,
        "position": seen.position,
        "entity": seen.entity,
        "action": payload.get("action") or "",
        "severity": payload.get("severity") or "INFO",
        "message": message,
        "timestamp": seen.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "context": payload.get("task_id") or f"feed-{seen.position}",
        "user": nick,
        "userURI": f"{enterprise_uri}/users/{user_id}" if user_id and enterprise_uri else "",
        "performedBy": nick or "SYSTEM",
        "onBehalfOf": details.get("on_behalf_of") or nick,
        "enterpriseName": seen.enterprise_name or "",
        "enterpriseURI": enterprise_uri,
        "entityName": payload.get("entity_name") or "",
        "entityURI": _entity_uri(seen),
        "entityMediaType": _MEDIA.format(media) if media else "",
        "entityEnterpriseName": seen.enterprise_name or "",
        "entityEnterpriseURI": enterprise_uri,
        "errorCode": str(details.get("code") or "") if failed else "",
        "errorMessage": message if failed else "",
        "exception": "",
        "tags": [],
        "source": _source(seen, nick),
        "trace": str(details.get("trace") or message),
        "details": details,
        "links": _links(links, seen),
    }


def _source(seen: StoredEvent, nick: str) -> str:
    """Where it happened: enterprise/user/virtual datacenter/appliance/entity."""
    parts = [
        seen.enterprise_name,
        nick,
        seen.virtualdatacenter_name,
        seen.virtualappliance_name,
        seen.payload.get("entity_name") or seen.entity_id,
    ]
    return "/".join(part for part in parts if part)


def _entity_path(seen: StoredEvent) -> str:
    """The entity's path below the API's root; empty when it is gone or has no page."""
    match seen.entity:
        case "VIRTUAL_MACHINE" if seen.virtualappliance_id is not None:
            return (
                f"cloud/virtualdatacenters/{seen.virtualdatacenter_id}/virtualappliances"
                f"/{seen.virtualappliance_id}/virtualmachines/{seen.entity_id}"
            )
        case "VIRTUAL_DATACENTER":
            return f"cloud/virtualdatacenters/{seen.entity_id}"
        case "DATACENTER":
            return f"admin/datacenters/{seen.entity_id}"
        case "RULES":
            return "admin/rules"
        case "USER" if seen.payload.get("enterprise_id") and seen.entity_id.isdigit():
            return f"admin/enterprises/{seen.payload['enterprise_id']}/users/{seen.entity_id}"
        case "ENTERPRISE":
            return f"admin/enterprises/{seen.entity_id}"
        case _:
            return ""


def _entity_uri(seen: StoredEvent) -> str:
    path = _entity_path(seen)
    return f"/api/{path}" if path else ""


def _links(links: Linker, seen: StoredEvent) -> list[dict[str, Any]]:
    title = str(seen.payload.get("action") or seen.position)
    found = [links.link("self", f"events/{seen.position}", "event", title=title)]
    path = _entity_path(seen)
    if path:
        found.append(links.link("entity", path, _ENTITY_MEDIA[seen.entity]))
    task = seen.payload.get("task_id")
    if task and seen.entity == "VIRTUAL_MACHINE" and path:
        found.append(links.link("task", f"{path}/tasks/{task}", "task"))
    decided = (seen.payload.get("details") or {}).get("decision")
    if decided:
        found.append(decision_link(links, decided))
    return found
