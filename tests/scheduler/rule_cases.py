"""What each rule lets pass and what it objects to, one case a line of the mission."""

from scheduler.model.demand import Demand, RelocationScope
from scheduler.model.inventory import Candidate, RuleSet, Tier
from scheduler.model.reason import Reason, ReasonCode
from scheduler.model.values import replace
from tests.scheduler.places import DATASTORE, DEMAND, HOST, ORIGIN, SCOPE, candidate

MOVE = replace(DEMAND, origin=ORIGIN)
RACK = replace(SCOPE, cpu_limit=10, ram_limit_mib=1000, disk_limit_bytes=500, rule="rule 7")
CENTER = replace(RACK, kind="datacenter", name="madrid")
NAMED = replace(HOST, cpu_used=7, cpu_rule="rule 1", ram_used_mib=8000, ram_rule="rule 2")

APART = RuleSet(
    1,
    excluded={1: frozenset({2}), 2: frozenset({1})},
    restricted=frozenset({1}),
    enterprises={1: "acme", 2: "umbrella"},
    tiers={1: "gold"},
)
FREE = replace(APART, restricted=frozenset())
OURS = replace(DEMAND, enterprise=1)
THEIRS = replace(DEMAND, enterprise=3)
LAYERED = replace(DEMAND, layer=1)
GOLD = replace(DEMAND, tier=1)
GOLDEN = replace(DATASTORE, tier=Tier(1, "gold"))
CLUSTER = replace(RACK, kind="cluster", name="blades")

PASSING: list[tuple[str, Demand, Candidate]] = [
    ("M-038 exactly the CPU left", replace(DEMAND, cpu=1), candidate(NAMED)),
    ("M-038 exactly the RAM left", replace(DEMAND, ram_mib=192), candidate(NAMED)),
    (
        "M-038 more virtual CPUs than cores under oversubscription",
        replace(DEMAND, cpu=9),
        candidate(replace(HOST, cpu_limit=16)),
    ),
    ("M-038 exactly the disk left", replace(DEMAND, disk_bytes=1000), candidate()),
    (
        "M-038 one of two datastores is enough",
        replace(DEMAND, disk_bytes=900),
        candidate(HOST, replace(DATASTORE, used_bytes=500), replace(DATASTORE, id=2)),
    ),
    (
        "M-040 exactly the rack's sum",
        replace(DEMAND, cpu=10, type="KVM"),
        candidate(replace(HOST, cpu_limit=10), rack=RACK),
    ),
    ("M-040 no limit on this sum", DEMAND, candidate(rack=SCOPE, datacenter=SCOPE)),
    ("M-040 moving within a full rack", MOVE, candidate(rack=replace(RACK, cpu_used=99))),
    (
        "M-040 moving within a full datacenter",
        replace(MOVE, origin=replace(ORIGIN, rack=2, reach=RelocationScope.DATACENTER)),
        candidate(datacenter=replace(CENTER, ram_used_mib=9999)),
    ),
    (
        "M-021 a full datastore that the VM is on and the host sees",
        replace(MOVE, origin=replace(ORIGIN, datastore=1, shared=True)),
        candidate(HOST, replace(DATASTORE, used_bytes=1000, shared=True)),
    ),
    ("M-021 same rack and manager", MOVE, candidate()),
    (
        "M-021 another rack where the configuration allows it",
        replace(MOVE, origin=replace(ORIGIN, rack=2, reach=RelocationScope.DATACENTER)),
        candidate(),
    ),
    ("M-025 the host asked for", replace(DEMAND, only=frozenset({1})), candidate()),
    ("M-080 another host refused", replace(DEMAND, refused=((2, "full"),)), candidate()),
    ("M-043 the network is mapped", replace(DEMAND, network="lan"), candidate()),
    (
        "M-047 no growth on a host over its limit",
        replace(DEMAND, cpu=0, disk_bytes=0),
        candidate(replace(HOST, cpu_used=99)),
    ),
    ("M-043 a host reserved to the enterprise", OURS, candidate(replace(HOST, reserved_for=1))),
    (
        "M-043 a restricted enterprise on its reserved host",
        OURS,
        candidate(replace(HOST, reserved_for=1), rules=APART),
    ),
    (
        "M-043 an enterprise that no rule keeps apart",
        THEIRS,
        candidate(replace(HOST, enterprises=frozenset({1, 2})), rules=FREE),
    ),
    (
        "M-043 an excluded enterprise elsewhere",
        OURS,
        candidate(replace(HOST, enterprises=frozenset({1, 3})), rules=FREE),
    ),
    ("M-043 another layer", LAYERED, candidate(replace(HOST, layers=frozenset({2})))),
    ("M-043 the tier asked for", GOLD, candidate(HOST, GOLDEN)),
    ("M-043 any tier", DEMAND, candidate(HOST, GOLDEN)),
    (
        "M-040 moving within a full cluster",
        replace(MOVE, origin=replace(ORIGIN, cluster=1)),
        candidate(cluster=replace(CLUSTER, cpu_used=99)),
    ),
]

REFUSED = Reason(ReasonCode.REFUSED, spare="no")
OBJECTING: list[tuple[str, Demand, Candidate, Reason]] = [
    (
        "M-038 one CPU too many",
        replace(DEMAND, cpu=2),
        candidate(NAMED),
        Reason(ReasonCode.CPU, 2, 1, 8, "rule 1"),
    ),
    (
        "M-038 one MiB too many",
        replace(DEMAND, ram_mib=193),
        candidate(NAMED),
        Reason(ReasonCode.MEMORY, 193, 192, 8192, "rule 2"),
    ),
    (
        "M-038 over the limit already",
        DEMAND,
        candidate(replace(HOST, cpu_used=9)),
        Reason(ReasonCode.CPU, 1, -1, 8, ""),
    ),
    (
        "M-038 free space is not added up over datastores",
        replace(DEMAND, disk_bytes=1001),
        candidate(HOST, replace(DATASTORE, used_bytes=1, rule="rule 3"), replace(DATASTORE, id=2)),
        Reason(ReasonCode.STORAGE, 1001, 1000, 1000, "", "datastore disks1"),
    ),
    (
        "M-039 the datastore's own rule",
        replace(DEMAND, disk_bytes=501),
        candidate(HOST, replace(DATASTORE, limit_bytes=500, rule="rule 3")),
        Reason(ReasonCode.STORAGE, 501, 500, 500, "rule 3", "datastore disks1"),
    ),
    (
        "M-040 the rack's sum of CPU",
        DEMAND,
        candidate(rack=replace(RACK, cpu_used=10)),
        Reason(ReasonCode.AGGREGATED_CPU, 1, 0, 10, "rule 7", "rack rack1"),
    ),
    (
        "M-040 the rack's sum of RAM",
        DEMAND,
        candidate(rack=replace(RACK, ram_used_mib=873)),
        Reason(ReasonCode.AGGREGATED_MEMORY, 128, 127, 1000, "rule 7", "rack rack1"),
    ),
    (
        "M-040 the rack's sum of disk space",
        DEMAND,
        candidate(rack=replace(RACK, disk_used_bytes=401)),
        Reason(ReasonCode.AGGREGATED_STORAGE, 100, 99, 500, "rule 7", "rack rack1"),
    ),
    (
        "M-040 the datacenter's sum of CPU",
        DEMAND,
        candidate(datacenter=replace(CENTER, cpu_used=10)),
        Reason(ReasonCode.AGGREGATED_CPU, 1, 0, 10, "rule 7", "datacenter madrid"),
    ),
    (
        "M-040 the datacenter's sum of RAM",
        DEMAND,
        candidate(datacenter=replace(CENTER, ram_used_mib=1000)),
        Reason(ReasonCode.AGGREGATED_MEMORY, 128, 0, 1000, "rule 7", "datacenter madrid"),
    ),
    (
        "M-040 the datacenter's sum of disk space",
        DEMAND,
        candidate(datacenter=replace(CENTER, disk_used_bytes=500)),
        Reason(ReasonCode.AGGREGATED_STORAGE, 100, 0, 500, "rule 7", "datacenter madrid"),
    ),
    (
        "M-040 moving into a full rack",
        replace(MOVE, origin=replace(ORIGIN, rack=2, reach=RelocationScope.DATACENTER)),
        candidate(rack=replace(RACK, cpu_used=10)),
        Reason(ReasonCode.AGGREGATED_CPU, 1, 0, 10, "rule 7", "rack rack1"),
    ),
    (
        "M-021 another rack",
        replace(MOVE, origin=replace(ORIGIN, rack=2)),
        candidate(),
        Reason(ReasonCode.SAME_RACK, spare="rack1"),
    ),
    (
        "M-021 another manager, wherever moves may go",
        replace(MOVE, origin=replace(ORIGIN, hypervisor="vc2", reach=RelocationScope.DATACENTER)),
        candidate(),
        Reason(ReasonCode.SAME_HYPERVISOR, wanted="vc2", spare="lab"),
    ),
    (
        "M-023 the host it is on",
        replace(MOVE, origin=replace(ORIGIN, host=1)),
        candidate(),
        Reason(ReasonCode.SAME_HOST),
    ),
    (
        "M-023 the host it is on is not called full as well",
        replace(MOVE, cpu=9, origin=replace(ORIGIN, host=1, datastore=1)),
        candidate(HOST, replace(DATASTORE, used_bytes=1000)),
        Reason(ReasonCode.SAME_HOST),
    ),
    (
        "M-025 another host than asked for",
        replace(DEMAND, only=frozenset({2})),
        candidate(),
        Reason(ReasonCode.NOT_ASKED),
    ),
    ("M-080 it refused", replace(DEMAND, refused=((1, "no"),)), candidate(), REFUSED),
    (
        "M-043 another datacenter",
        replace(DEMAND, datacenter=2),
        candidate(),
        Reason(ReasonCode.DATACENTER),
    ),
    (
        "M-043 another hypervisor type",
        replace(DEMAND, type="VMX_04"),
        candidate(),
        Reason(ReasonCode.HYPERVISOR_TYPE, wanted="VMX_04", spare="KVM"),
    ),
    (
        "M-043 not reachable",
        DEMAND,
        candidate(replace(HOST, reachable=False)),
        Reason(ReasonCode.UNREACHABLE),
    ),
    (
        "M-043 the network is not mapped",
        replace(DEMAND, network="san"),
        candidate(),
        Reason(ReasonCode.NETWORK, wanted="san"),
    ),
    (
        "M-043 the only datastore is disabled",
        DEMAND,
        candidate(HOST, replace(DATASTORE, enabled=False)),
        Reason(ReasonCode.NO_DATASTORE),
    ),
    ("M-043 no datastore at all", DEMAND, Candidate(HOST), Reason(ReasonCode.NO_DATASTORE)),
    (
        "M-043 a disabled datastore is not used even by the VM that is on it",
        replace(MOVE, origin=replace(ORIGIN, datastore=1, shared=True)),
        candidate(HOST, replace(DATASTORE, enabled=False, shared=True)),
        Reason(ReasonCode.NO_DATASTORE),
    ),
    (
        "M-021 a datastore of the same id that is not shared holds no disk of the VM here",
        replace(MOVE, origin=replace(ORIGIN, datastore=1)),
        candidate(HOST, replace(DATASTORE, used_bytes=1000)),
        Reason(ReasonCode.STORAGE, 100, 0, 1000, "", "datastore disks1"),
    ),
    (
        "M-043 reserved to another",
        OURS,
        candidate(replace(HOST, reserved_for=2), rules=FREE),
        Reason(ReasonCode.RESERVED, spare="umbrella"),
    ),
    (
        "M-043 restricted to reserved hosts",
        OURS,
        candidate(rules=APART),
        Reason(ReasonCode.RESTRICTED, wanted="acme"),
    ),
    (
        "M-043 an excluded enterprise is there",
        OURS,
        candidate(replace(HOST, enterprises=frozenset({2, 3})), rules=FREE),
        Reason(ReasonCode.EXCLUDED, spare="umbrella"),
    ),
    (
        "M-043 a VM of the layer is there",
        LAYERED,
        candidate(replace(HOST, layers=frozenset({1, 2}))),
        Reason(ReasonCode.LAYER, wanted="layer 1"),
    ),
    (
        "M-043 no datastore of the tier",
        GOLD,
        candidate(HOST, DATASTORE, rules=APART),
        Reason(ReasonCode.TIER, wanted="gold"),
    ),
    (
        "M-043 a disabled tier",
        GOLD,
        candidate(HOST, replace(GOLDEN, tier=Tier(1, "gold", enabled=False)), rules=APART),
        Reason(ReasonCode.TIER, wanted="gold"),
    ),
    (
        "M-043 a tier of other enterprises",
        OURS,
        candidate(HOST, replace(GOLDEN, tier=Tier(1, "gold", enterprises=frozenset({2})))),
        Reason(ReasonCode.TIER),
    ),
    (
        "M-040 beyond the cluster's sum",
        replace(DEMAND, cpu=2),
        candidate(cluster=replace(CLUSTER, cpu_used=9)),
        Reason(ReasonCode.AGGREGATED_CPU, 2, 1, 10, "rule 7", "cluster blades"),
    ),
]
