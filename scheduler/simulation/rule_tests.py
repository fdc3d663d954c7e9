"""A rule test is a promise that a rule set must keep: so many hosts take a VM of this size."""

from dataclasses import dataclass
from uuid import UUID

from scheduler.fleet.fleet import Fleet
from scheduler.model.demand import Demand
from scheduler.model.limits import Rules
from scheduler.snapshot.snapshot import InventorySnapshot, fleet

_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class RuleTest:
    """A VM of this size (vCPUs, MiB, bytes) must fit on `hosts_min` hosts of the datacenter."""

    name: str
    cpu: int
    ram_mib: int
    disk_bytes: int
    datacenter: int
    type: str
    hosts_min: int = 1
    network: str | None = None
    enterprise: int | None = None
    tier: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that a rule set does not pass: only so many hosts would take the VM."""

    test: RuleTest
    hosts: int

    @property
    def sentence(self) -> str:
        """What failed, for people."""
        wanted = self.test.hosts_min
        return f'the test "{self.test.name}" wants {wanted} hosts and {self.hosts} would do'


def failures(
    cluster: InventorySnapshot, rules: Rules, tests: tuple[RuleTest, ...]
) -> tuple[Failure, ...]:
    """The tests that these rules fail in the cluster as it is, in order."""
    if not tests:
        return ()
    known = fleet(cluster.under(rules))
    counted = [(test, _fitting(known, test)) for test in tests]
    return tuple(Failure(test, hosts) for test, hosts in counted if hosts < test.hosts_min)


def _fitting(known: Fleet, test: RuleTest) -> int:
    demand = Demand(
        _NOBODY,
        test.cpu,
        test.ram_mib,
        test.disk_bytes,
        test.type,
        test.datacenter,
        test.network,
        enterprise=test.enterprise,
        tier=test.tier,
    )
    listed = known.candidates(demand, known.rules.policy(test.datacenter))
    return sum(not reasons for _, _, reasons in listed)
