"""Users, enterprises, locations, virtual datacenters, appliances and templates on the wire."""

from typing import Any

from gateway.api.http.links import Linker
from gateway.api.representations.tiers import offered_link
from gateway.store.places import Datacenter
from gateway.store.tenants import Enterprise, Template, Virtualappliance, Virtualdatacenter
from gateway.store.users import User

_LIMITS = ("cpu", "ram", "vms", "vlans", "publicIps")
_MIB = 2**20


def unlimited() -> dict[str, int]:
    """Abiquo's limit pairs: 0 is no limit, and there are none here."""
    pairs = {f"{name}{kind}": 0 for name in _LIMITS for kind in ("Soft", "Hard")}
    disks = ("diskSoftLimitInMb", "diskHardLimitInMb", "storageSoftInMb", "storageHardInMb")
    return {**pairs, **dict.fromkeys(disks, 0)}


def user(links: Linker, one: User, *, privileges: bool = False) -> dict[str, Any]:
    """A user; never the password."""
    enterprise_path = f"admin/enterprises/{one.enterprise_id}"
    path = f"{enterprise_path}/users/{one.id}"
    body: dict[str, Any] = {
        "id": one.id,
        "nick": one.nick,
        "name": one.name or one.nick,
        "surname": one.surname,
        "email": one.email,
        "locale": one.locale,
        "active": one.active,
        "locked": False,
        "firstLogin": False,
        "authType": "ABIQUO",
        "links": [
            links.link("edit", path, "user", title=one.name or one.nick),
            links.link("enterprise", enterprise_path, "enterprise", title=one.enterprise),
            links.link("virtualmachines", f"{path}/action/virtualmachines", "virtualmachines"),
            links.link("pendingtasks", f"{path}/action/pendingtasks", "tasks"),
        ],
    }
    if privileges:
        named = [{"name": name, "links": []} for name in sorted(one.privileges)]
        body["privileges"] = {"links": [], "collection": named}
    return body


def enterprise(links: Linker, one: Enterprise) -> dict[str, Any]:
    """A tenant."""
    path = f"admin/enterprises/{one.id}"
    return {
        "id": one.id,
        "name": one.name,
        "isReservationRestricted": one.reservation_restricted,
        "workflow": one.workflow,
        "twoFactorAuthenticationMandatory": False,
        **unlimited(),
        "links": [
            links.link("edit", path, "enterprise", title=one.name),
            links.link("users", f"{path}/users", "users"),
            links.link("limits", f"{path}/limits", "limits"),
            links.link("virtualmachines", f"{path}/action/virtualmachines", "virtualmachines"),
            links.link("reservedmachines", f"{path}/reservedmachines", "machines"),
            links.link(
                "cloud/virtualdatacenters", "cloud/virtualdatacenters", "virtualdatacenters"
            ),
            links.link("pendingtasks", f"{path}/action/pendingtasks", "tasks"),
        ],
    }


def location(links: Linker, one: Datacenter, media: str = "datacenter") -> dict[str, Any]:
    """A datacenter, or a region of a public cloud, as tenants see it: read only."""
    path = f"cloud/locations/{one.id}"
    return {
        "id": one.id,
        "uuid": str(one.uuid),
        "name": one.name,
        "location": one.location,
        "links": [
            links.link("self", path, media, title=one.name),
            links.link("location", path, media, title=one.name),
            links.link("templates", f"{path}/templates", "virtualmachinetemplates"),
            links.link("datastoretiers", f"{path}/datastoretiers", "datastoretiers"),
            links.link("compatibles", f"{path}/datastoretiers/action/compatibles", "links"),
            links.link("hypervisortypes", "config/hypervisortypes", "hypervisortypes"),
        ],
    }


def network(links: Linker, one: Virtualdatacenter) -> dict[str, Any]:
    """The default network of a virtual datacenter."""
    path = f"cloud/virtualdatacenters/{one.id}"
    edit = f"{path}/privatenetworks/{one.network_id}"
    return {
        "id": one.network_id,
        "name": one.network,
        "address": one.address,
        "mask": one.mask,
        "gateway": one.gateway,
        "type": "INTERNAL",
        "defaultNetwork": True,
        "links": [
            links.link("edit", edit, "vlan", title=one.network),
            links.link("virtualdatacenter", path, "virtualdatacenter"),
        ],
    }


def virtualdatacenter(links: Linker, one: Virtualdatacenter) -> dict[str, Any]:
    """A virtual datacenter with its default network."""
    path = f"cloud/virtualdatacenters/{one.id}"
    return {
        "id": one.id,
        "name": one.name,
        "hypervisorType": one.type,
        "network": None if one.network_id is None else network(links, one),
        **unlimited(),
        "links": [
            links.link("edit", path, "virtualdatacenter", title=one.name),
            links.link("enterprise", f"admin/enterprises/{one.enterprise_id}", "enterprise"),
            links.link(
                "location", f"cloud/locations/{one.datacenter_id}", "datacenter", one.datacenter
            ),
            links.link("virtualappliances", f"{path}/virtualappliances", "virtualappliances"),
            links.link("virtualmachines", f"{path}/action/virtualmachines", "virtualmachines"),
            links.link("templates", f"{path}/action/templates", "virtualmachinetemplates"),
            links.link("privatenetworks", f"{path}/privatenetworks", "vlans"),
            links.link("disks", f"{path}/disks", "harddisks"),
            links.link("volumes", f"{path}/volumes", "volumes"),
            links.link("purchased", f"{path}/publicips/purchased", "publicips"),
            links.link("topurchase", f"{path}/publicips/topurchase", "publicips"),
            links.link(
                "tiers", f"cloud/locations/{one.datacenter_id}/datastoretiers", "datastoretiers"
            ),
            *_default_network(links, one),
            *_tier(links, "defaultdatastoretier", one),
        ],
    }


def _default_network(links: Linker, one: Virtualdatacenter) -> list[dict[str, Any]]:
    if one.network_id is None:
        return []
    path = f"cloud/virtualdatacenters/{one.id}/privatenetworks/{one.network_id}"
    return [links.link("defaultvlan", path, "vlan", title=one.network)]


def appliance_state(one: Virtualappliance) -> str:
    """Its state, from those of its VMs."""
    if one.vms == 0:
        return "EMPTY"
    if one.unknown:
        return "UNKNOWN"
    if one.locked:
        return "LOCKED"
    if one.not_allocated == one.vms:
        return "NOT_DEPLOYED"
    return "DEPLOYED" if one.not_allocated == 0 else "NEEDS_SYNC"


def virtualappliance(links: Linker, one: Virtualappliance, *, may_act: bool) -> dict[str, Any]:
    """An appliance; its actions for who may use them."""
    path = _vapp_path(one)
    vdc = f"cloud/virtualdatacenters/{one.virtualdatacenter_id}"
    actions = [
        links.link(name, f"{path}/action/{name}", "acceptedrequest")
        for name in ("deploy", "undeploy")
        if may_act
    ]
    return {
        "id": one.id,
        "name": one.name,
        "description": one.description,
        "iconUrl": one.icon_url,
        "state": appliance_state(one),
        "error": 0,
        "publicApp": 0,
        "highDisponibility": 0,
        "restricted": False,
        "links": [
            links.link("edit", path, "virtualappliance", title=one.name),
            links.link("virtualdatacenter", vdc, "virtualdatacenter"),
            links.link("enterprise", f"admin/enterprises/{one.enterprise_id}", "enterprise"),
            links.link("virtualmachines", f"{path}/virtualmachines", "virtualmachines"),
            links.link("state", f"{path}/state", "virtualappliancestate"),
            links.link("layers", f"{path}/layers", "layers"),
            *actions,
        ],
    }


def virtualappliance_state(links: Linker, one: Virtualappliance) -> dict[str, Any]:
    """Only the state; its field is called `power`."""
    path = _vapp_path(one)
    return {
        "power": appliance_state(one),
        "links": [
            links.link("parent", path, "virtualappliance"),
            links.link("edit", f"{path}/state", "virtualappliancestate", title=one.name),
        ],
    }


def template(links: Linker, one: Template, enterprise_id: int) -> dict[str, Any]:
    """A template, with its disk."""
    owner = f"admin/enterprises/{one.enterprise_id or enterprise_id}"
    repository = f"{owner}/datacenterrepositories/{one.datacenter_id}"
    path = f"{repository}/virtualmachinetemplates/{one.id}"
    size_mib = one.disk_bytes // _MIB
    return {
        "id": str(one.id),
        "name": one.name,
        "description": one.description,
        "cpuRequired": one.cpu,
        "ramRequired": one.ram_mib,
        "hdRequired": one.disk_bytes,
        "diskFormatType": one.disk_format,
        "diskFileSize": one.disk_bytes,
        "osType": one.os_type,
        "state": "DONE",
        "shared": one.enterprise_id is None,
        "enableCpuHotAdd": False,
        "enableRamHotAdd": False,
        "enableDisksHotReconfigure": False,
        "enableNicsHotReconfigure": False,
        "enableRemoteAccessHotReconfigure": False,
        "links": [
            links.link("edit", path, "virtualmachinetemplate", title=one.name),
            links.link("enterprise", owner, "enterprise"),
            links.link("datacenterrepository", repository, "datacenterrepository"),
            links.link("disk0", f"{path}/disks/1", "harddisk", one.source, length=str(size_mib)),
            *_tier(links, "datastoretier0", one),
        ],
    }


def _tier(links: Linker, rel: str, one: Virtualdatacenter | Template) -> list[dict[str, Any]]:
    """The tier of VMs that ask for none, if one is set."""
    if one.tier_id is None:
        return []
    return [offered_link(links, rel, one.datacenter_id, one.tier_id, one.tier)]


def _vapp_path(one: Virtualappliance) -> str:
    return f"cloud/virtualdatacenters/{one.virtualdatacenter_id}/virtualappliances/{one.id}"
