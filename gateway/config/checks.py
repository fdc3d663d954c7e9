"""What types cannot say of a configuration: names that must exist, and must not repeat."""

import difflib
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from drivers.addresses import AddressError
from drivers.registry import address_reader
from gateway.config.model import Config
from gateway.config.places import DatacenterEntry, HostEntry
from gateway.config.privileges import ALL_PRIVILEGES, EVERYTHING


class Wrong(Exception):
    """What is wrong, and the path of the key it is about."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


def check(config: Config) -> None:
    """Raise Wrong for the first thing that does not fit."""
    if (config.server.tls_certificate is None) != (config.server.tls_key is None):
        raise Wrong("$.server", "tls_certificate and tls_key are given together or not at all")
    if config.tasks.heartbeat_s + config.tasks.margin_s >= config.tasks.lease_s:
        raise Wrong("$.tasks.lease_s", "must be longer than heartbeat_s and margin_s together")
    enterprises = {one.name for one in config.enterprises}
    _unique("$.enterprises", "name", (one.name for one in config.enterprises))
    _unique("$.users", "login", (one.login for one in config.users))
    for n, user in enumerate(config.users):
        _known(f"$.users[{n}].enterprise", user.enterprise, enterprises)
        if (user.password_env is None) == (user.password_file is None):
            raise Wrong(f"$.users[{n}]", "one of password_env and password_file is needed")
        for m, privilege in enumerate(user.privileges):
            _check_privilege(f"$.users[{n}].privileges[{m}]", privilege)
    _unique("$.datacenters", "name", (one.name for one in config.datacenters))
    for n, datacenter in enumerate(config.datacenters):
        _check_datacenter(config, f"$.datacenters[{n}]", datacenter)
    _check_hosts(config)
    _check_addresses(config)
    _check_virtualdatacenters(config)


def _check_privilege(path: str, name: str) -> None:
    known = {EVERYTHING, *ALL_PRIVILEGES}
    if name in known:
        return
    close = difflib.get_close_matches(name.upper(), sorted(known), 1, cutoff=0.0)
    raise Wrong(path, f"there is no privilege {name!r}; did you mean {close[0]}?")


def _check_datacenter(config: Config, path: str, datacenter: DatacenterEntry) -> None:
    _unique(f"{path}.racks", "name", (one.name for one in datacenter.racks))
    _unique(f"{path}.datastores", "name", (one.name for one in datacenter.datastores))
    _unique(f"{path}.templates", "name", (one.name for one in datacenter.templates))
    enterprises = {one.name for one in config.enterprises}
    for n, template in enumerate(datacenter.templates):
        if template.enterprise is not None:
            _known(f"{path}.templates[{n}].enterprise", template.enterprise, enterprises)
    racks = {one.name for one in datacenter.racks}
    hosts = {host.name for rack in datacenter.racks for host in rack.hosts}
    datastores = {one.name for one in datacenter.datastores}
    for n, rule in enumerate(datacenter.rules):
        here = f"{path}.rules[{n}]"
        named = [name for name in ("rack", "host", "datastore") if getattr(rule, name) is not None]
        fitting = {"machine_load": ("rack", "host"), "datastore_load": ("datastore",)}
        if len(named) > 1 or not set(named) <= set(fitting.get(rule.kind, ())):
            raise Wrong(f"{here}.{named[0]}", f"does not fit a {rule.kind} rule here")
        for name, known in (("rack", racks), ("host", hosts), ("datastore", datastores)):
            if getattr(rule, name) is not None:
                _known(f"{here}.{name}", getattr(rule, name), known)
    _check_rules_once(path, datacenter)


def _check_rules_once(path: str, datacenter: DatacenterEntry) -> None:
    """Of two rules of a kind about one element the second would be dropped in silence."""
    about = [(rule.kind, rule.rack, rule.host, rule.datastore) for rule in datacenter.rules]
    for n, one in enumerate(about):
        if one in about[:n]:
            raise Wrong(
                f"{path}.rules[{n}].kind", f"there is a {one[0]} rule about the same before"
            )


def _check_hosts(config: Config) -> None:
    seen: set[tuple[str, str]] = set()
    for d, datacenter in enumerate(config.datacenters):
        local: set[str] = set()
        for path, host in _hosts(f"$.datacenters[{d}]", datacenter):
            _known(f"{path}.hypervisor", host.hypervisor, config.hypervisor)
            if (host.hypervisor, host.name) in seen:
                raise Wrong(f"{path}.name", f"duplicate name: {host.name}")
            seen.add((host.hypervisor, host.name))
            _check_datastores(path, datacenter, host, local)
            local |= set(host.datastores)


def _check_addresses(config: Config) -> None:
    """Each is one that its block's driver may use, and belongs to one host of one block."""
    readers = {}
    for name, block in config.hypervisor.items():
        try:
            readers[name] = address_reader(block.kind, block.options)
        except ValueError as wrong:
            raise Wrong(f"$.hypervisor.{name}", str(wrong)) from wrong
    owners: dict[str, HostEntry] = {}
    for d, datacenter in enumerate(config.datacenters):
        for path, host in _hosts(f"$.datacenters[{d}]", datacenter):
            try:
                endpoint = readers[host.hypervisor](host.address).endpoint
            except AddressError as wrong:
                raise Wrong(f"{path}.address", str(wrong)) from wrong
            other = owners.setdefault(endpoint, host)
            if other is not host:
                said = f"{host.name} of hypervisor.{host.hypervisor} has the address of "
                said += f"{other.name} of hypervisor.{other.hypervisor}"
                raise Wrong(f"{path}.address", said)


def _hosts(path: str, datacenter: DatacenterEntry) -> Iterator[tuple[str, HostEntry]]:
    for r, rack in enumerate(datacenter.racks):
        for h, host in enumerate(rack.hosts):
            yield f"{path}.racks[{r}].hosts[{h}]", host


def _check_datastores(path: str, at: DatacenterEntry, host: HostEntry, taken: set[str]) -> None:
    """`taken` is what other hosts of the datacenter named before."""
    datastores = {one.name: one for one in at.datastores}
    pools: dict[str, str] = {}
    for name in host.datastores:
        _known(f"{path}.datastores", name, datastores)
        if not datastores[name].shared and name in taken:
            raise Wrong(f"{path}.datastores", f"{name} is not shared: one host only")
        pool = datastores[name].pool or name
        if pool in pools:
            said = (
                f"{name} is the pool {pool} of the host, as is {pools[pool]}: it would count twice"
            )
            raise Wrong(f"{path}.datastores", said)
        pools[pool] = name


def _check_virtualdatacenters(config: Config) -> None:
    seen: set[tuple[str, str]] = set()
    for n, one in enumerate(config.virtualdatacenters):
        path = f"$.virtualdatacenters[{n}]"
        _known(f"{path}.enterprise", one.enterprise, {each.name for each in config.enterprises})
        _known(f"{path}.datacenter", one.datacenter, {each.name for each in config.datacenters})
        if (one.enterprise, one.name) in seen:
            raise Wrong(f"{path}.name", f"duplicate name: {one.name}")
        seen.add((one.enterprise, one.name))
        try:
            network = one.address()
        except ValueError as wrong:
            raise Wrong(f"{path}.network", str(wrong)) from wrong
        if not 8 <= network.prefixlen <= 30:
            raise Wrong(f"{path}.network", "a prefix from 8 to 30 bits is needed")
        try:
            outside = one.gateway is not None and IPv4Address(one.gateway) not in network
        except ValueError as wrong:
            raise Wrong(f"{path}.gateway", str(wrong)) from wrong
        if outside:
            raise Wrong(f"{path}.gateway", "it must lie in the network")


def _known(path: str, name: str, known: Iterable[str]) -> None:
    names = sorted(known)
    if name not in names:
        raise Wrong(path, f"there is no {name} (there are: {', '.join(names) or 'none'})")


def _unique(path: str, key: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for n, name in enumerate(names):
        if name in seen:
            raise Wrong(f"{path}[{n}].{key}", f"duplicate name: {name}")
        seen.add(name)
