"""What a configuration file may say: every section, key, unit, default and limit."""

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from gateway.config.places import ConfigSection, DatacenterEntry, Name, VirtualdatacenterEntry

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


Deadline = Annotated[float, Meta(ge=1, le=3600)]


class ServerSection(ConfigSection, frozen=True):
    """The API's listener. With both TLS files it speaks HTTPS. `public_url` is what links name
    when clients reach us through a proxy.

    `clients_max` and `clients_per_address` cap the open connections. The deadlines are for
    a request's headers, for its body, for the next request on a kept connection, and for taking
    each 64 KiB of a response.
    """

    host: str = "127.0.0.1"
    port: Port = 8009
    public_url: str | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    clients_max: Annotated[int, Meta(ge=16, le=100_000)] = 2048
    clients_per_address: Annotated[int, Meta(ge=8, le=100_000)] = 512
    headers_s: Deadline = 15.0
    body_s: Deadline = 20.0
    idle_s: Deadline = 75.0
    response_s: Deadline = 30.0


class ProbesSection(ConfigSection, frozen=True):
    """The listener of /livez, /readyz and /metrics."""

    host: str = "127.0.0.1"
    port: Port = 8010


class StoreSection(ConfigSection, frozen=True):
    """PostgreSQL: our own under `data_dir`, or the server a database URL names."""

    source: Literal["auto", "embedded", "system"] = "auto"
    data_dir: Path = Path("var")
    database_url_env: str | None = None
    database_url_file: Path | None = None
    connections_max: Annotated[int, Meta(ge=4, le=500)] = 16


class LoginsSection(ConfigSection, frozen=True):
    """How long verified credentials are remembered, and how long a session lasts at most."""

    remembered_s: Seconds = 180.0
    session_s: Seconds = 43_200.0


class TasksSection(ConfigSection, frozen=True):
    """How workers keep their leases, how often a step is tried, and how many tasks run at once."""

    lease_s: Seconds = 15.0
    heartbeat_s: Seconds = 5.0
    margin_s: Seconds = 2.0
    attempts_max: Annotated[int, Meta(ge=1, le=100)] = 5
    hosts_max: Annotated[int, Meta(ge=1, le=20)] = 5
    settle_for_s: Seconds = 300.0
    failures_max: Annotated[int, Meta(ge=1, le=100)] = 5
    cancel_s: Annotated[float, Meta(gt=0, le=60)] = 6.0
    poll_s: Seconds = 0.5
    workers: Annotated[int, Meta(ge=1, le=1024)] = 64
    drain_s: Seconds = 20.0


class ObserversSection(ConfigSection, frozen=True):
    """How often hosts are surveyed, and after how long a silence their VMs become UNKNOWN."""

    period_s: Seconds = 10.0
    unknown_after_s: Seconds = 30.0
    lease_s: Seconds = 15.0
    spacing_s: Seconds = 0.5


class PlansSection(ConfigSection, frozen=True):
    """What places carry at once while plans run: a move with its disk takes 4 units of both
    hosts and 16 of the datastores, any other 1; a running VM 1 of its networks."""

    host_units: Annotated[int, Meta(ge=1, le=1024)] = 8
    datastore_units: Annotated[int, Meta(ge=1, le=65536)] = 128
    network_units: Annotated[int, Meta(ge=1, le=1024)] = 8


class RulesSection(ConfigSection, frozen=True):
    """How drafts of workload rules come into force; `two_person`: never by who wrote them."""

    two_person: bool = False


class DecisionsSection(ConfigSection, frozen=True):
    """How long decisions are kept, and how often the inventory is, from which they are made
    again: after so many changes, or so many seconds with any."""

    retention_days: Annotated[int, Meta(ge=1, le=3650)] = 30
    rows_max: Annotated[int, Meta(ge=1, le=100_000_000)] = 1_000_000
    checkpoint_changes: Annotated[int, Meta(ge=1, le=10_000_000)] = 20_000
    checkpoint_s: Seconds = 3600.0


class LogSection(ConfigSection, frozen=True):
    """JSON lines on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class EnterpriseSection(ConfigSection, frozen=True):
    """A tenant."""

    name: Name


class UserSection(ConfigSection, frozen=True):
    """A user of one enterprise; the password comes from a file or the environment."""

    login: Name
    enterprise: Name
    privileges: list[str] = []
    name: str = ""
    surname: str = ""
    email: str = ""
    password_env: str | None = None
    password_file: Path | None = None


class HypervisorSection(ConfigSection, frozen=True):
    """How to reach hosts of one kind and type; `options` are the driver's own.

    `{data_dir}` in an option's text stands for the store's folder.
    """

    kind: Name
    type: Literal["KVM", "VMX_04", "azurecompute-arm"]
    options: dict[str, Any] = {}


class Config(ConfigSection, frozen=True):
    """The whole file."""

    server: ServerSection = ServerSection()
    probes: ProbesSection = ProbesSection()
    store: StoreSection = StoreSection()
    logins: LoginsSection = LoginsSection()
    tasks: TasksSection = TasksSection()
    observers: ObserversSection = ObserversSection()
    rules: RulesSection = RulesSection()
    decisions: DecisionsSection = DecisionsSection()
    plans: PlansSection = PlansSection()
    log: LogSection = LogSection()
    enterprises: list[EnterpriseSection] = []
    users: list[UserSection] = []
    hypervisor: dict[str, HypervisorSection] = {}
    datacenters: list[DatacenterEntry] = []
    virtualdatacenters: list[VirtualdatacenterEntry] = []
