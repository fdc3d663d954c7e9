"""Faults T1, T2, T3: reasons, unusable datastores and moved disks are followed from a survey."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from drivers.facts import DatastoreFacts, Facts, HostFacts, HostLoad, PowerState, Sighting
from gateway.store import vms
from gateway.store.capacity import bookings, inventory
from gateway.store.db.pool import Store
from tests.reconcile.scene import Scene, scene
from tests.tasks.rig import books_balance, vm_row

GIB = 2**30


@dataclass
class Reported:
    """What the next survey reports of VM 1 and of the datastore, in place of what is there."""

    vm: dict[str, Any] = field(default_factory=dict)
    store: dict[str, Any] = field(default_factory=dict)
    host: dict[str, Any] = field(default_factory=dict)
    unlisted: bool = False
    gone: bool = False
    endpoint: str = "host-1"
    more: tuple[DatastoreFacts, ...] = ()

    def facts(self, facts: Facts) -> Facts:
        stores = () if self.unlisted else facts.hosts[0].datastores
        hosts = tuple(
            replace(
                host,
                datastores=(*(replace(one, **self.store) for one in stores), *self.more),
                **self.host,
            )
            for host in facts.hosts
        )
        vms = () if self.gone else tuple(replace(vm, **self.vm) for vm in facts.vms)
        return replace(facts, endpoint=self.endpoint, hosts=hosts, vms=vms)


async def survey(at: Scene, report: Reported) -> None:
    """One round of host-1's observer, with a report in place of the survey."""
    driver = at.driver
    found = await driver._driver.survey("host-1")

    async def reported(endpoint: str) -> Facts:
        return report.facts(replace(found, taken_at=datetime.now(UTC)))

    driver.survey = reported  # type: ignore[method-assign]
    await at.observer().round()


async def sees(store: Store, host: int = 1) -> tuple[int, ...]:
    """The datastores that placement sees on a host."""
    async with store.read() as c:
        (found,) = await inventory.hosts(c, [host])
    return found.datastores


async def test_t2_the_reason_of_a_state_is_kept_and_told(store: Store) -> None:
    async with scene(store, whole=False) as at:
        words = "paused by an I/O error: /srv/pool-1 is full"
        await survey(at, Reported(vm={"state": PowerState.PAUSED, "reason": words}))
        vm = await vm_row(store, 1)
        assert (vm["state"], vm["state_reason"]) == ("PAUSED", words)
        (event,) = await at.events("VSM_CHANGE_STATE")
        assert (event["severity"], event["details"]["reason"]) == ("WARN", words)
        assert words in event["message"]
        assert "paused by an I/O error" in event["told"]
        assert "pool-1" not in event["told"]
        await survey(at, Reported(vm={"state": PowerState.PAUSED}))
        assert (await vm_row(store, 1))["state_reason"] == ""
        assert len(await at.events("VSM_CHANGE_STATE")) == 2


async def test_t2_an_unchanged_reason_is_no_news(store: Store) -> None:
    async with scene(store, whole=False) as at:
        for _ in range(2):
            await survey(at, Reported(vm={"reason": "a question waits for an answer"}))
        assert len(await at.events("VSM_CHANGE_STATE")) == 1


async def test_t2_a_power_state_that_cannot_be_read_is_unknown_with_its_reason(
    store: Store,
) -> None:
    async with scene(store, whole=False) as at:
        reason = "its files are not accessible"
        await survey(at, Reported(vm={"state": PowerState.UNKNOWN, "reason": reason}))
        vm = await vm_row(store, 1)
        assert (vm["state"], vm["known_state"], vm["state_reason"]) == ("UNKNOWN", "ON", reason)


@pytest.mark.parametrize("absent", [False, True], ids=["inactive", "not listed"])
async def test_t1_an_unusable_datastore_takes_nothing_through_that_host(
    store: Store, absent: bool
) -> None:
    """Only that host is affected; the host's event says why, once; it ends by itself."""
    async with scene(store, whole=False) as at:
        broken = Reported(
            store={"usable": False, "reason": "the pool is inactive"}, unlisted=absent
        )
        for _ in range(2):
            await survey(at, broken)
        assert (await sees(store), await sees(store, 2)) == ((), (1,))
        why = "the host does not list it" if absent else "the pool is inactive"
        told = [event["message"] for event in await at.events("CHECK_STATE")]
        (message,) = [each for each in told if "cannot use datastore" in each]
        assert message.startswith("Host host-1 cannot use datastore")
        assert message.endswith(why)
        await survey(at, Reported())
        assert await sees(store) == (1,)


async def test_an_event_names_what_changed_at_a_host(store: Store) -> None:
    """Subject, change from -> to, cause; a survey that finds nothing new is no event."""
    async with scene(store, whole=False) as at:
        await survey(at, Reported(host={"cpus": 8, "memory_mib": 1024, "mover": ""}))
        before = len(await at.events("CHECK_STATE"))
        for _ in range(2):
            await survey(at, Reported(host={"cpus": 16, "memory_mib": 1024, "mover": "DRS"}))
        (event,) = (await at.events("CHECK_STATE"))[before:]
        assert event["message"] == (
            "Host host-1 changed: CPUs 8 -> 16, moved by none -> DRS (survey)"
        )


async def test_t3_a_disk_moved_to_another_datastore_is_booked_there(store: Store) -> None:
    """Storage vMotion leaves the VM on its host: its disk's booking follows."""
    async with scene(store, whole=False) as at:
        async with store.transaction() as c:
            await c.execute(
                """insert into datastore (id, datacenter_id, name, pool, shared, capacity_bytes,
                     free_bytes) overriding system value
                   values (7, 1, 'other', 'other', false, 1e12, 1e12);
                   insert into host_datastore (host_id, datastore_id) values (1, 7);
                   insert into ledger (kind, id, disk_limit, attributes)
                   values ('datastore', 7, 1000000000000, '')"""
            )
        other = DatastoreFacts("other", "/other", 10**12, 10**12)
        await survey(at, Reported(vm={"datastores": ("other",)}, more=(other,)))
        assert (await vm_row(store, 1))["datastore_id"] == 7
        async with store.read() as c:
            booked = await c.fetch("select host_id, datastore_id from booking where vm_id = 1")
        assert [tuple(row.values()) for row in booked] == [(1, 7)]
        await books_balance(store)
        (event,) = await at.events("VSM_MOVED")
        assert event["details"]["toDatastore"] == "other"
        assert "other" not in event["told"].replace("another", "")


async def test_t3_a_disk_at_a_place_that_nobody_registered_leaves_the_vm_unknown(
    store: Store,
) -> None:
    async with scene(store, whole=False) as at:
        await survey(at, Reported(vm={"datastores": ("nowhere",)}))
        vm = await vm_row(store, 1)
        assert (vm["state"], vm["known_state"]) == ("UNKNOWN", "ON")
        assert vm["state_reason"].endswith("host host-1 on datastore nowhere")


class Noted:
    """Wraps a fact and notes which of its fields are read."""

    def __init__(self, fact: Any, read: set[tuple[str, str]]) -> None:
        self._fact, self._read = fact, read

    @property
    def __class__(self) -> type:  # type: ignore[override]
        """What it wraps, for `isinstance`."""
        return type(self._fact)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._fact, name)
        self._read.add((type(self._fact).__name__, name))
        return noted(value, self._read)


def noted(value: Any, read: set[tuple[str, str]]) -> Any:
    """The value with every fact in it wrapped."""
    if isinstance(value, tuple):
        return tuple(noted(each, read) for each in value)
    known = (Facts, HostFacts, DatastoreFacts, HostLoad, Sighting)
    return Noted(value, read) if isinstance(value, known) else value


async def test_each_field_of_the_facts_is_read_by_the_gateway(store: Store) -> None:
    """K4: a driver reports nothing that nobody reads. A VM of another owner is listed too: only
    its size counts."""
    read: set[tuple[str, str]] = set()
    async with scene(store, whole=False) as at:
        facts = await at.driver._driver.survey("host-1")
        full = DatastoreFacts("pool-1", "/p", 10 * GIB, 5 * GIB, usable=False, reason="inactive")
        (host,) = facts.hosts
        host = replace(host, datastores=(full,), load=HostLoad(1, 2), mover="DRS")
        (vm,) = facts.vms
        again = replace(vm, vm=UUID(int=7))
        async with store.transaction() as c:
            await c.execute(
                """insert into deleted_vm (uuid, vm_id, name, label, enterprise_id)
                   values ($1, 7, 'vm-7', '', 1)""",
                again.vm,
            )
        moved = replace(vm, volumes=("v",), datastores=("nowhere",), reason="asleep")
        facts = replace(facts, hosts=(host,), vms=(moved, again))

        async def survey(endpoint: str) -> Any:
            return noted(facts, read)

        at.driver.survey = survey  # type: ignore[method-assign]
        await at.observer().round()
    fields = {
        (kind.__name__, name)
        for kind in (Facts, HostFacts, DatastoreFacts, HostLoad, Sighting)
        for name in kind.__dataclass_fields__
    }
    assert fields - read == set()


async def test_t5_a_deleted_unknown_vm_that_shows_up_again_is_reported_by_name(
    store: Store,
) -> None:
    """Once for each time that it appears, with its record; its use stays counted as foreign."""
    async with scene(store, whole=False) as at:
        async with store.transaction() as c:
            await bookings.release_all(c, 1)
            await vms.forget(c, 1)
        for _ in range(2):
            await survey(at, Reported())
        (event,) = await at.events("VSM_REAPPEARED")
        assert (event["entity_name"], event["severity"]) == ("vm-1", "WARN")
        assert "vm-1 was deleted while UNKNOWN and is on host-1 again" in event["message"]
        assert "host-1" not in event["told"]
        assert event["details"]["uuid"] == at.uuid
        assert (await at.used())[0] == 1
        await survey(at, Reported(gone=True))
        await survey(at, Reported())
        assert len(await at.events("VSM_REAPPEARED")) == 2


async def test_a_listing_of_another_endpoint_is_no_evidence(store: Store) -> None:
    """I10: an answer that got mixed up makes nothing UNKNOWN and moves nothing."""
    async with scene(store, whole=False) as at:
        before = await vm_row(store, 1)
        await survey(at, Reported(gone=True, endpoint="host-2"))
        assert await vm_row(store, 1) == before
