"""I3: what the ledger and the feed say is at every moment what counting anew would say."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.store.capacity import bookings, claims, inventory, ledger
from gateway.store.capacity.claims import Granted
from gateway.store.db.pool import Connection, Store
from gateway.store.rules import rule_set
from scheduler.fleet.usage_ledger import Key, Row, key_of
from scheduler.model.serialization import from_mapping, with_usage
from tests.store.ruled import build, set_rules, tried, wish

VM = st.sampled_from([1, 4, 7, 2])  # few, so that they meet; 1 and 4 are of one layer
HOST = st.sampled_from([1, 2, 3, 4])
STEP = st.one_of(
    st.tuples(st.just("claim"), VM, HOST, st.integers(1, 2)),
    st.tuples(st.just("move"), VM, HOST, st.integers(1, 2)),
    st.tuples(st.just("release"), VM, st.booleans()),
    st.tuples(st.just("resize"), VM, st.integers(1, 4)),
    st.tuples(st.just("join"), VM, st.none() | st.integers(1, 6)),
    st.tuples(st.just("foreign"), HOST, st.integers(0, 3)),
    st.tuples(st.just("cluster"), HOST, st.none() | st.integers(1, 2)),
    st.tuples(st.just("tier"), st.integers(1, 4), st.none() | st.integers(1, 2)),
    st.tuples(st.just("sum"), st.sampled_from(["cluster", "rack", "datacenter"]), st.booleans()),
    st.tuples(st.just("layer gone"), st.integers(1, 6)),
    st.tuples(st.just("cluster gone"), st.integers(1, 2)),
)
Step = tuple[Any, ...]


async def run(c: Connection, step: Step) -> None:
    match step:
        case ("claim", vm, host, datastore):
            if not await bookings.of_vm(c, vm):
                await claims.claim(c, [await wish(c, vm, host, datastore=datastore)])
        case ("move", vm, host, datastore):
            held = await bookings.of_vm(c, vm)
            if len(held) == 1 and held[0].host_id != host:
                made = await wish(c, vm, host, datastore=datastore, cpu=held[0].cpu, moving=True)
                await claims.claim(c, [made])
        case ("release", vm, first):
            await leave(c, vm, first=first)
        case ("resize", vm, cpu):
            held = await bookings.of_vm(c, vm)
            if len(held) == 1:
                await bookings.resize(c, held[0], cpu, 100 * cpu)
        case ("join", vm, layer):
            exists = await c.fetchval("select true from layer where id = $1", layer)
            if layer is None or exists:
                await bookings.join_layer(c, vm, layer)
        case _:
            await edit(c, step)


async def leave(c: Connection, vm: int, *, first: bool) -> None:
    held = await bookings.of_vm(c, vm)
    if len(held) == 2:
        old, stays = held if first else reversed(held)
        await bookings.release(c, old, lives_on=stays)
    for one in held if len(held) == 1 else []:
        await bookings.release(c, one)


async def edit(c: Connection, step: Step) -> None:
    match step:
        case ("foreign", host, cpus):
            await c.execute("update host set foreign_cpu = $2 where id = $1", host, cpus)
            await ledger.refresh_limits(c, hosts=[host])
        case ("cluster", host, cluster):
            await rule_set.lock_exclusive(c)
            await c.execute(
                """update host set cluster_id = (select id from cluster where id = $2)
                   where id = $1""",
                host,
                cluster,
            )
            await ledger.refresh_limits(c, hosts=[host])
        case ("tier", datastore, tier):
            await c.execute("update datastore set tier_id = $2 where id = $1", datastore, tier)
            await ledger.refresh_limits(c)
        case ("sum", level, aggregated):
            rule = {"kind": "machine_load", "level": level, "element_id": 1}
            percents = {"cpu_percent": 90, "ram_percent": 90, "aggregated": aggregated}
            await set_rules(c, [rule | percents])
        case ("layer gone", layer):
            for row in await c.fetch("select id from vm where layer_id = $1", layer):
                await bookings.join_layer(c, row["id"], None)
            await c.execute("delete from layer where id = $1", layer)
        case ("cluster gone", cluster):
            await c.execute("delete from cluster where id = $1", cluster)
            await ledger.refresh_limits(c)


async def whole(c: Connection) -> dict[Key, Row]:
    rows: list[Row] = [*await inventory.hosts(c), *await inventory.datastores(c)]
    rows += [*await inventory.scopes(c), await rule_set.read(c)]
    return {key_of(row): row for row in rows}


async def expected(c: Connection, key: Key) -> dict[str, Any]:
    """The use of a ledger row, from bookings and hosts alone."""
    kind, id_ = key
    column = {"host": "h.id", "datastore": "b.datastore_id"}.get(kind, f"h.{kind}_id")
    rows = await c.fetch(
        f"""select b.*, v.enterprise_id, v.layer_id from booking b join vm v on v.id = b.vm_id
            join host h on h.id = b.host_id where {column} = $1""",
        id_,
    )
    if kind == "datastore":
        return {"disk_used": sum(row["disk_bytes"] for row in rows)}
    hosts = await c.fetch(
        f"select foreign_cpu, foreign_ram_mib from host h where {column} = $1", id_
    )
    vms: dict[int, list[int]] = {}
    for row in rows:
        size = vms.setdefault(row["vm_id"], [0, 0])
        size[:] = max(size[0], row["cpu"]), max(size[1], row["ram_mib"])
    return {
        "cpu_used": sum(cpu for cpu, _ in vms.values()) + sum(h["foreign_cpu"] for h in hosts),
        "ram_used": sum(ram for _, ram in vms.values()) + sum(h["foreign_ram_mib"] for h in hosts),
        "enterprises": sorted({row["enterprise_id"] for row in rows} if kind == "host" else ()),
        "layers": sorted({row["layer_id"] for row in rows} - {None} if kind == "host" else ()),
    }


async def balance(c: Connection) -> None:
    for row in await c.fetch("select * from ledger"):
        for name, value in (await expected(c, (row["kind"], row["id"]))).items():
            assert row[name] == value, (row["kind"], row["id"], name)


def follow(known: dict[Key, Row], entity: str, id_: int, payload: dict[str, Any]) -> None:
    """Apply one change of the feed as a reader without a database does."""
    if "row" not in payload:
        row = known[entity, id_]
        assert not hasattr(row, "character") or row.character == payload["character"]
        known[entity, id_] = with_usage(row, payload)  # type: ignore[arg-type, assignment]
        return
    row = from_mapping(payload)
    key = key_of(row)
    assert key == (entity, id_)
    if payload["row"] == "gone":
        assert known.pop(key).generation < row.generation
        return
    assert key not in known or known[key].generation < row.generation
    known[key] = row  # type: ignore[assignment]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(STEP, min_size=8, max_size=32))
async def test_the_books_balance_after_every_step(store: Store, steps: list[Step]) -> None:
    """Claims, moves, releases, sizes, layers, clusters, tiers and rules, in any order."""
    async with store.read() as c:
        built = await c.fetchval("select exists (select from host)")
    if not built:
        await build(store)
    async with tried(store) as c:
        known = await whole(c)
        seen = await c.fetchval("select coalesce(max(id), 0) from outbox")
        for step in steps:
            await run(c, step)
            await balance(c)
        told = await c.fetch(
            """select entity, entity_id, payload from outbox
               where topic = 'inventory' and id > $1 order by id""",
            seen,
        )
        for row in told:
            follow(known, row["entity"], int(row["entity_id"]), row["payload"])
        present = await whole(c)
    assert known == present


async def test_the_steps_are_real(store: Store) -> None:
    """The walk above books and moves: a claim in the record for rules is granted."""
    await build(store)
    async with tried(store) as c:
        answers = await claims.claim(c, [await wish(c, 1, 1)])
        assert [type(answer) for answer in answers] == [Granted]
        await run(c, ("move", 1, 5, 1))
        assert len(await bookings.of_vm(c, 1)) == 2
        await balance(c)
