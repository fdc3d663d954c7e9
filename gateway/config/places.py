"""What a configuration file may say of places: datacenters, hosts, datastores, templates."""

from ipaddress import IPv4Network
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class ConfigSection(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A table of the file; a key it does not know is an error."""


class HostEntry(ConfigSection, frozen=True):
    """A host. `hypervisor` names the block whose driver reaches it at `address`.

    `networks` maps a network tag to the bridge or network of the host; `datastores` are names
    of the datacenter's. `state` counts when the host is first loaded: later the API decides.
    """

    name: Name
    hypervisor: Name
    address: Annotated[str, Meta(min_length=1, max_length=1024)]
    networks: dict[str, str] = msgspec.field(default_factory=lambda: {"default": ""})
    datastores: list[Name] = []
    state: Literal["MANAGED", "NOT_MANAGED", "HALTED"] = "MANAGED"
    description: str = ""


class RackEntry(ConfigSection, frozen=True):
    """A rack with its hosts."""

    name: Name
    description: str = ""
    hosts: list[HostEntry] = []


class DatastoreEntry(ConfigSection, frozen=True):
    """A datastore; `pool` is what hosts call it (its name when left out).

    One that is not `shared` may be named by one host only.
    """

    name: Name
    pool: str | None = None
    shared: bool = False
    enabled: bool = True
    tier: str | None = None
    path: str = ""


class TemplateEntry(ConfigSection, frozen=True):
    """What VMs are made from: a source volume, sizes (bytes, MiB), and the types it fits.

    Of one `enterprise`, or of all when left out.
    """

    name: Name
    source: Name
    types: Annotated[list[Literal["KVM", "VMX_04", "azurecompute-arm"]], Meta(min_length=1)]
    disk_bytes: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    disk_format: str = "QCOW2_SPARSE"
    cpu: Count = 1
    ram_mib: Count = 128
    os_type: str = "OTHER"
    description: str = ""
    enterprise: Name | None = None


class RuleEntry(ConfigSection, frozen=True):
    """A workload rule, loaded with its datacenter's first load; later the API decides.

    About the rack, host or datastore it names, else about the datacenter. Percentages.
    """

    kind: Literal["machine_load", "datastore_load", "fit_policy"]
    rack: Name | None = None
    host: Name | None = None
    datastore: Name | None = None
    cpu_percent: Annotated[int, Meta(ge=0, le=10_000)] = 100
    ram_percent: Annotated[int, Meta(ge=0, le=10_000)] = 100
    storage_percent: Annotated[int, Meta(ge=0, le=100)] = 100
    aggregated: bool = False
    fit_policy: Literal["PROGRESSIVE", "PERFORMANCE"] = "PROGRESSIVE"


class DatacenterEntry(ConfigSection, frozen=True):
    """A datacenter and all in it."""

    name: Name
    location: str = ""
    racks: list[RackEntry] = []
    datastores: list[DatastoreEntry] = []
    templates: list[TemplateEntry] = []
    rules: list[RuleEntry] = []


class VirtualdatacenterEntry(ConfigSection, frozen=True):
    """A tenant's part of a datacenter, for VMs of one type, with its default network."""

    name: Annotated[str, Meta(min_length=1, max_length=40)]
    enterprise: Name
    datacenter: Name
    type: Literal["KVM", "VMX_04", "azurecompute-arm"]
    network: str = "192.168.0.0/24"
    gateway: str | None = None
    tag: Name = "default"

    def address(self) -> IPv4Network:
        """The network's address; raises ValueError."""
        return IPv4Network(self.network, strict=True)
