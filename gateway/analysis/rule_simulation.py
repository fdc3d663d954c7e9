"""What a rule set would do, asked of the present inventory before anybody feels it."""

from typing import Any

import msgspec

from gateway.analysis.backtest import look_back
from gateway.store import cluster_snapshot
from gateway.store.db.pool import Store
from gateway.store.rules.rule_versions import Body
from scheduler.simulation.rule_impact import RuleImpact, effect
from scheduler.simulation.rule_tests import RuleTest, failures
from scheduler.snapshot.json_values import from_json, to_json


class SimulationRequest(msgspec.Struct, frozen=True):
    """Rules and their tests, as rows; `effect` asks for more than the tests, and `days` for what
    the rules would have made of the requests of the last days."""

    rules: Body
    tests: Body
    effect: bool = True
    days: int = 0


async def foresee(store: Store, question: SimulationRequest) -> dict[str, Any]:
    """The answer, ready for JSON. It takes as long as it takes: not for the event loop."""
    async with store.read() as c:
        cluster = await cluster_snapshot.read(c)
        rules = await cluster_snapshot.rules_of(c, question.rules)
    tests = tuple(from_json(one, RuleTest) for one in question.tests)
    failed = failures(cluster, rules, tests)
    found: dict[str, Any] = {
        "position": cluster.position,
        "ruleSet": cluster.rules.version,
        "tests": len(tests),
        "failedTests": [
            {"name": each.test.name, "hosts": each.hosts, "message": each.sentence}
            for each in failed
        ],
    }
    if question.effect:
        found["effect"] = _shown(effect(cluster, rules))
    if question.days:
        found["history"] = await look_back(store, question.rules, question.days)
    return found


def _shown(found: RuleImpact) -> dict[str, Any]:
    return {
        "over": [to_json(each) for each in found.over],
        "overCount": found.over_count,
        "relievedCount": found.relieved_count,
        "headroom": {
            name: {"before": was, "after": after, "change": after - was}
            for name, was, after in (
                ("cpu", found.before.cpu, found.after.cpu),
                ("ramMib", found.before.ram_mib, found.after.ram_mib),
                ("diskBytes", found.before.disk_bytes, found.after.disk_bytes),
            )
        },
        "notPlacedAgain": [to_json(each) for each in found.stranded],
        "notPlacedAgainCount": found.stranded_count,
    }
