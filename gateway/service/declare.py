"""Loads what the configuration declares into the record, in one transaction, again and again."""

import asyncio
from collections.abc import Mapping

from gateway.api.auth.passwords import hash_password, matches
from gateway.config.model import Config, UserSection
from gateway.config.places import DatacenterEntry, HostEntry, RuleEntry, VirtualdatacenterEntry
from gateway.config.reading import secret
from gateway.events.event import Event, Severity, emit
from gateway.service.addresses import Addresses
from gateway.store import config_sync, tenants
from gateway.store.capacity import ledger
from gateway.store.config_sync import ChangedUser, DeclaredHost, DeclaredTemplate, DeclaredUser
from gateway.store.db.pool import Connection, Store, StoreConflict
from gateway.store.rules import rules
from gateway.store.rules.rules import NewRule

TRIES = 10
CONFIGURATION = "configuration"
"""The author of versions of the rules that come with what is declared."""


async def declare(
    store: Store, config: Config, environ: Mapping[str, str], *, serves_users: bool = True
) -> None:
    """Tenants, users, places, templates and virtual datacenters; raises ConfigError for a
    password that is not there, and for an address that is another host's in the record.

    With `serves_users` the users declared are all there are: others become inactive. A worker
    may have a configuration without users.
    """
    hashes = await _hashes(store, config, environ)
    for left in reversed(range(TRIES)):
        try:
            await _load(store, config, hashes, serves_users)
        except StoreConflict:
            # Observers of other processes write the same hosts: one of us has to begin again.
            if not left:
                raise
        else:
            return


async def _load(
    store: Store, config: Config, hashes: Mapping[str, str], serves_users: bool
) -> None:
    async with store.transaction() as c:
        await config_sync.alone(c)
        enterprises = {
            one.name: await config_sync.enterprise(c, one.name) for one in config.enterprises
        }
        for user in config.users:
            one = _user(user, enterprises[user.enterprise], hashes[user.login])
            if (again := await config_sync.user(c, one)) is not None:
                await emit(c, _access(again, active=True))
        if serves_users:
            for gone in await config_sync.deactivate_all_but(
                c, [one.login for one in config.users]
            ):
                await emit(c, _access(gone, active=False))
        await config_sync.fit_policy(c)
        addresses = Addresses(config)
        await addresses.settle(c)
        datacenters = {
            one.name: await _datacenter(c, config, one, addresses) for one in config.datacenters
        }
        for vdc in config.virtualdatacenters:
            await _virtualdatacenter(
                c, vdc, enterprises[vdc.enterprise], datacenters[vdc.datacenter]
            )
        await ledger.refresh_limits(c, author=CONFIGURATION)


async def _hashes(store: Store, config: Config, environ: Mapping[str, str]) -> dict[str, str]:
    """A hash for each user: the one kept while the password is the same."""
    async with store.read() as c:
        kept = {one.login: await config_sync.hash_of(c, one.login) for one in config.users}
    found = {}
    for user in config.users:
        what = f"the password of {user.login}"
        password = secret(what, user.password_env, user.password_file, environ)
        old = kept[user.login]
        same = old is not None and await asyncio.to_thread(matches, old, password)
        found[user.login] = (
            old if old is not None and same else await asyncio.to_thread(hash_password, password)
        )
    return found


def _access(one: ChangedUser, *, active: bool) -> Event:
    """The event for a user whose access begins again or ends."""
    said = "is declared again: active" if active else "is no longer declared: inactive"
    return Event(
        "USER",
        "ACTIVATE" if active else "DEACTIVATE",
        one.id,
        message=f"User {one.nick} {said}",
        severity=Severity.INFO if active else Severity.WARN,
        enterprise_id=one.enterprise_id,
        entity_name=one.nick,
    )


def _user(user: UserSection, enterprise_id: int, password_hash: str) -> DeclaredUser:
    return DeclaredUser(
        user.login,
        enterprise_id,
        user.name,
        user.surname,
        user.email,
        user.privileges,
        password_hash,
    )


async def _datacenter(
    c: Connection, config: Config, one: DatacenterEntry, addresses: Addresses
) -> int:
    """A datacenter with all in it; its rules only when it is new."""
    datacenter_id, new = await config_sync.datacenter(c, one.name, one.location)
    for place in one.datastores:
        tier = await config_sync.tier(c, datacenter_id, place.tier) if place.tier else None
        columns = (place.pool or place.name, place.shared, place.enabled, tier, place.path)
        await config_sync.datastore(c, datacenter_id, place.name, columns)
    for rack in one.racks:
        rack_id = await config_sync.rack(c, datacenter_id, rack.name, rack.description)
        for host in rack.hosts:
            type_ = config.hypervisor[host.hypervisor].type
            endpoint = addresses.declared[host.hypervisor, host.name]
            await config_sync.host(c, rack_id, _host(host, type_, endpoint))
    for each in one.templates:
        await config_sync.template(
            c,
            datacenter_id,
            DeclaredTemplate(
                each.enterprise,
                each.name,
                each.description,
                each.source,
                each.disk_format,
                each.disk_bytes,
                each.cpu,
                each.ram_mib,
                each.os_type,
                list(each.types),
            ),
        )
    for rule in one.rules if new else []:
        await rules.add(c, await _rule(c, datacenter_id, rule))
    return datacenter_id


def _host(host: HostEntry, type_: str, endpoint: str) -> DeclaredHost:
    return DeclaredHost(
        host.hypervisor,
        host.name,
        type_,
        host.address,
        host.description,
        host.networks,
        host.state,
        host.datastores,
        endpoint,
    )


async def _rule(c: Connection, datacenter_id: int, rule: RuleEntry) -> NewRule:
    level, element_id = "datacenter", datacenter_id
    for name, each in (("rack", rule.rack), ("machine", rule.host), ("datastore", rule.datastore)):
        if each is not None:
            level, element_id = name, await config_sync.element(c, datacenter_id, name, each)
    match rule.kind:
        case "machine_load":
            return NewRule(
                rule.kind,
                level,
                element_id,
                cpu_percent=rule.cpu_percent,
                ram_percent=rule.ram_percent,
                aggregated=rule.aggregated,
            )
        case "datastore_load":
            return NewRule(rule.kind, level, element_id, storage_percent=rule.storage_percent)
        case _:
            return NewRule(rule.kind, level, element_id, fit_policy=rule.fit_policy)


async def _virtualdatacenter(
    c: Connection, one: VirtualdatacenterEntry, enterprise_id: int, datacenter_id: int
) -> None:
    """Made once; what tenants do to it later stays."""
    made = await tenants.add_virtualdatacenter(c, one.name, enterprise_id, datacenter_id, one.type)
    if made is not None:
        await tenants.add_network(c, made, ("default", one.tag, one.network, one.gateway))
