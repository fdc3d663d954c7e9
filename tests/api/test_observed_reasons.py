"""Faults T1, T2: the API shows why a VM is in its state, and why a datastore is not usable."""

from collections.abc import AsyncIterator

import pytest

from gateway.store import users
from gateway.store.db.pool import Store
from tests.api.test_rules_in_effect import APP, RACK, Live, serving_live

WORDS = "paused by an I/O error: /srv/pool-1 is full"


@pytest.fixture
async def live(store: Store) -> AsyncIterator[Live]:
    """The API over a running engine, with a tenant who may not know of hosts."""
    async with serving_live(store) as made:
        async with store.transaction() as c:
            await c.execute(
                """insert into app_user (id, nick, enterprise_id, password_hash, privileges)
                   values (7, 'tenant', 1, 'x', '{VAPP_PERFORM_ACTIONS}')"""
            )
            await users.keep_token(c, "token-of-tenant", 7, 3600)
        yield made


@pytest.mark.parametrize(
    ("user", "shown"), [("admin", WORDS), ("tenant", "paused by an I/O error")]
)
async def test_t2_a_vm_and_its_state_say_why(live: Live, user: str, shown: str) -> None:
    """Only callers who see hosts read the hypervisor's own words, which may name places."""
    async with live.api.store.transaction() as c:
        await c.execute("update vm set state_reason = $1 where id = 1", WORDS)
    for path in (f"{APP}/virtualmachines/1", f"{APP}/virtualmachines/1/state"):
        answer = await live.api.call("GET", path, user=user)
        assert (answer.status, answer.body["stateReason"]) == (200, shown)


async def test_t1_a_machine_says_why_it_cannot_use_a_datastore(live: Live) -> None:
    async with live.api.store.transaction() as c:
        await c.execute("update host_datastore set problem = 'inactive' where host_id = 1")
    machine = (await live.api.call("GET", f"{RACK}/machines/1")).body
    assert machine["datastores"]["collection"]
    for each in machine["datastores"]["collection"]:
        assert (each["usable"], each["problem"]) == (False, "inactive")
    other = (await live.api.call("GET", f"{RACK}/machines/2")).body
    assert all(each["usable"] for each in other["datastores"]["collection"])
