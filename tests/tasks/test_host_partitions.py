"""Processes that place VMs divide the hosts among those who are there."""

from gateway.placement.host_partitions import PartitionKeeper
from gateway.store.db.pool import Store
from scheduler.model.host_partition import HostPartition, partition_of


def _member(
    store: Store, name: str, lease_s: float, told: list[HostPartition | None]
) -> PartitionKeeper:
    return PartitionKeeper(store, name, lease_s, told.append)


async def test_the_hosts_are_divided_among_those_who_are_there(store: Store) -> None:
    """One alone has all; a second halves them; one that ended is not counted."""
    told: dict[str, list[HostPartition | None]] = {"a": [], "b": []}
    first, second = (_member(store, name, 60, told[name]) for name in told)
    await first.renew()
    assert told["a"] == [None]
    await second.renew()
    await first.renew()
    assert told["b"][-1] == HostPartition(1, 2)
    assert told["a"][-1] == HostPartition(0, 2)
    short = _member(store, "c", 0, [])
    await short.renew()
    await first.renew()
    assert told["a"][-1] == HostPartition(0, 2)


def test_every_host_is_in_one_share_and_few_move_when_one_more_comes() -> None:
    """Rendezvous hashing: a host only ever moves to the new share."""
    hosts = range(1, 4001)
    for parts in range(1, 8):
        before = [partition_of(host, parts) for host in hosts]
        after = [partition_of(host, parts + 1) for host in hosts]
        assert all(new in (old, parts) for old, new in zip(before, after, strict=True))
        sizes = [after.count(part) for part in range(parts + 1)]
        assert min(sizes) > 0.8 * len(hosts) / (parts + 1)
