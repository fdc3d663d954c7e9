"""Advising finds the smallest changes under which a refused demand is placed, each one tried.

Nothing is given on the strength of arithmetic: the scheduler itself placed the demand on the
changed rows. What was not tried, for want of turns, is not given either.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from scheduler.advice.apply import applied
from scheduler.advice.changes import Advice, RaiseRule, burden, key, relative, sizes
from scheduler.advice.free_capacity import moves, shrunk, waits
from scheduler.advice.local_inventory import LocalInventory
from scheduler.advice.remedies import Bundle, RemedyProposal, for_host
from scheduler.decisions.near_misses import distance
from scheduler.model.placement import HostVerdict, Placement

ADVICE_MAX = 8
"""Given for one refusal."""
OF_A_SORT_MAX = 2
"""Of the same kinds of change."""
TRIALS_MAX = 160
"""Times the scheduler is asked for one refusal."""
MOVED_FROM_MAX = 5
"""Hosts of which a VM is considered to be moved away."""
Sort = tuple[tuple[str, bool], ...]
"""The kinds of change, a new rule apart from a known one."""


def advise(scene: LocalInventory, verdicts: Iterable[HostVerdict]) -> tuple[Advice, ...]:
    """What would make the demand fit, smallest first; `verdicts` are of hosts in the scene."""
    found = sorted(verdicts, key=distance)
    proposals = sorted(_proposals(scene, found), key=lambda each: _smallness(scene, each))
    accepted: list[Advice] = []
    passed: list[Bundle] = []
    given: Counter[Sort] = Counter()
    trials = 0
    for proposal in proposals:
        sort = _sort(proposal.changes)
        if any(_covers(less, proposal.changes) for less in passed):
            continue
        if given[sort] == OF_A_SORT_MAX:
            passed.append(proposal.changes)
            continue
        if trials >= TRIALS_MAX:
            break
        trials += len(proposal.changes)
        advice = tried(scene, proposal)
        if advice is not None and advice.changes not in passed:
            accepted.append(advice)
            passed.append(advice.changes)
            given[_sort(advice.changes)] += 1
    return _varied(accepted)


def tried(scene: LocalInventory, proposal: RemedyProposal) -> Advice | None:
    """The proposal as advice, if the scheduler places the demand once it is followed.

    Changes without which it is placed too are left out.
    """
    changes = proposal.changes
    if _answer(scene, proposal.host, changes) is None:
        return None
    for change in proposal.changes if len(changes) > 1 else ():
        fewer = tuple(each for each in changes if each is not change)
        if fewer and _answer(scene, proposal.host, fewer) is not None:
            changes = fewer
    answer = _answer(scene, proposal.host, changes)
    assert answer is not None
    return Advice(changes, answer.host, answer.datastore)


def _answer(scene: LocalInventory, host: int, changes: Bundle) -> Placement | None:
    for change in changes:
        scene = applied(scene, change)
    answer = scene.place(host)
    return answer if isinstance(answer, Placement) else None


def _proposals(scene: LocalInventory, verdicts: list[HostVerdict]) -> Iterator[RemedyProposal]:
    for verdict in verdicts:
        yield from for_host(scene, verdict)
        yield from shrunk(scene, verdict)
    if scene.around.holds:
        yield from waits(scene, [verdict.host for verdict in verdicts])
    if scene.around.residents:
        known = scene.fleet(scene.hosts)
        crowded = [verdict for verdict in verdicts if _freed(verdict)][:MOVED_FROM_MAX]
        for verdict in crowded:
            yield from moves(scene, verdict, known)


def _freed(verdict: HostVerdict) -> bool:
    """Whether somebody's leaving may help the host: what is lacking may pass."""
    return not any(reason.lasting for reason in verdict.reasons)


def _smallness(
    scene: LocalInventory, proposal: RemedyProposal
) -> tuple[int, int, int, tuple[str, ...]]:
    """Few changes before many, light before heavy, small before large."""
    changes = proposal.changes
    return (
        len(changes),
        max(burden(each) for each in changes),
        sum(relative(each, scene.demand) for each in changes),
        tuple(repr(each) for each in changes),
    )


def _covers(less: Bundle, more: Bundle) -> bool:
    """Whether each change of one is in the other too, and at least as large there."""
    if len(less) > len(more):
        return False
    sized = {key(each): sizes(each) for each in more}
    for each in less:
        other = sized.get(key(each))
        if other is None or any(a > b for a, b in zip(sizes(each), other, strict=True)):
            return False
    return True


def _sort(changes: Bundle) -> Sort:
    return tuple(
        (type(each).__name__, isinstance(each, RaiseRule) and each.rule is None) for each in changes
    )


def _varied(accepted: list[Advice]) -> tuple[Advice, ...]:
    """The smallest of each sort first of all, then what else there is, in order of smallness."""
    first: dict[Sort, Advice] = {}
    for advice in accepted:
        first.setdefault(_sort(advice.changes), advice)
    chosen = [*first.values(), *[each for each in accepted if each not in first.values()]]
    kept = chosen[:ADVICE_MAX]
    return tuple(each for each in accepted if each in kept)
