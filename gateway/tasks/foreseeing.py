"""What a rule set would do, asked of the present inventory before anybody feels it."""

from typing import Any

import msgspec

from gateway.store import whole
from gateway.store.pool import Store
from gateway.store.rule_versions import Body
from gateway.tasks.looking_back import look_back
from scheduler.effect import Effect, effect
from scheduler.plain import plain, read
from scheduler.rule_tests import RuleTest, failures


class Question(msgspec.Struct, frozen=True):
    """Rules and their tests, as rows; `effect` asks for more than the tests, and `days` for what
    the rules would have made of the requests of the last days."""

    rules: Body
    tests: Body
    effect: bool = True
    days: int = 0


async def foresee(store: Store, question: Question) -> dict[str, Any]:
    """The answer, ready for JSON. It takes as long as it takes: not for the event loop."""
    async with store.read() as c:
        cluster = await whole.read(c)
        rules = await whole.rules_of(c, question.rules)
    tests = tuple(read(one, RuleTest) for one in question.tests)
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


def _shown(found: Effect) -> dict[str, Any]:
    return {
        "over": [plain(each) for each in found.over],
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
        "notPlacedAgain": [plain(each) for each in found.stranded],
        "notPlacedAgainCount": found.stranded_count,
    }
