"""Drafts of the rule set: written, checked, tried on the present inventory, and put in force."""

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.analysis.rule_simulation import SimulationRequest
from gateway.api.access import conflict
from gateway.api.http import body_reader
from gateway.api.representations import rulesets as shown
from gateway.api.request_context import RequestContext
from gateway.api.rules import rulesets
from gateway.api.rules.ruleset_body import parse, read_rules, read_tests
from gateway.api.rules.rulesets import comment_of, require_tag, with_tag
from gateway.denial import ApiError, ErrorKind
from gateway.store.db.pool import Connection
from gateway.store.rules import rule_versions, rules
from gateway.store.rules.rule_checks import require_elements
from gateway.store.rules.rule_versions import Body, Draft, RuleSetContent

DAYS, DAYS_MAX = 7, 3650
"""How far a simulation looks back, 0 for not at all; decisions are kept for so long at most."""


@dataclass(frozen=True, slots=True)
class Given:
    """A rule set as a client gave it, read and found right so far."""

    rules: Body
    tests: Body
    comment: str

    def content(self, turn: RequestContext) -> RuleSetContent:
        """The same, by whom."""
        caller = turn.caller
        return RuleSetContent(self.rules, self.tests, self.comment, caller.nick, caller.user_id)


async def list_all(request: web.Request) -> web.Response:
    """GET: all drafts."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        found = await rule_versions.drafts(c)
    return turn.whole("rulesets", [shown.draft(turn.links, one, whole=False) for one in found])


async def read(request: web.Request) -> web.Response:
    """GET: one draft, as JSON or TOML."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        one = await _find(turn, c)
    if rulesets.wants_toml(request):
        body = {"comment": one.comment, **shown.content(one.rules, one.tests)}
        return rulesets.toml(body)
    return _answer(turn, one)


async def create(request: web.Request) -> web.Response:
    """POST: a draft, based on the version in force. An empty body copies that."""
    turn = RequestContext(request)
    raw = await body_reader.read(request)
    given = await _given(request) if raw.strip() else None
    async with turn.store.transaction() as c:
        newest = await rule_versions.in_force(c)
        if given is None:
            given = Given(newest.rules, newest.tests, "")
        else:
            await require_elements(c, given.rules)
        made = await rule_versions.add_draft(c, newest.version, given.content(turn))
    return with_tag(
        turn.created("ruleset", shown.draft(turn.links, made, whole=True)), made.revision
    )


async def edit(request: web.Request) -> web.Response:
    """PUT: the draft says this instead, and is based on the version now in force."""
    turn = RequestContext(request)
    given = await _given(request)
    async with turn.store.transaction() as c:
        old = await _find(turn, c, lock=True)
        require_tag(request, old.revision)
        await require_elements(c, given.rules)
        newest = await rule_versions.in_force(c)
        made = await rule_versions.change_draft(c, old, newest.version, given.content(turn))
    return _answer(turn, made)


async def delete(request: web.Request) -> web.Response:
    """DELETE: nothing else changes."""
    turn = RequestContext(request)
    async with turn.store.transaction() as c:
        old = await _find(turn, c, lock=True)
        require_tag(request, old.revision)
        await rule_versions.drop_draft(c, old.id)
    return turn.nothing()


async def validate(request: web.Request) -> web.Response:
    """POST: the draft, or the set in the body, is refused as the rules themselves would be, or
    its tests are tried. Nothing changes."""
    turn = RequestContext(request)
    given = await _asked(turn)
    found = await turn.services.foresee(
        turn.store, SimulationRequest(given.rules, given.tests, effect=False)
    )
    return turn.ok("rulesetvalidation", {"valid": not found["failedTests"], **found, "links": []})


async def simulate(request: web.Request) -> web.Response:
    """POST: what the draft, or the set in the body, would do to the present inventory, and would
    have made of the requests of the last `?days=`."""
    turn = RequestContext(request)
    days = _days(turn)
    given = await _asked(turn)
    found = await turn.services.foresee(
        turn.store, SimulationRequest(given.rules, given.tests, days=days)
    )
    return turn.ok("rulesetsimulation", {**found, "links": []})


async def compare(request: web.Request) -> web.Response:
    """GET: what the draft would change in the version in force."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        one = await _find(turn, c)
        newest = await rule_versions.in_force(c)
    body = shown.diff((newest.rules, newest.tests), (one.rules, one.tests))
    return turn.ok("rulesetdiff", body)


async def activate(request: web.Request) -> web.Response:
    """POST: the draft is in force from the next decision on, and the draft is gone.

    `If-Match` names the draft's revision. Refused, with nothing changed, for a draft that is
    stale, for one that fails a test, and by the rule of two for who wrote it.
    """
    turn = RequestContext(request)
    body = await turn.optional_json() or {}
    async with turn.store.read() as c:
        seen = await _find(turn, c)
    require_tag(request, seen.revision)
    await _pass_tests(turn, seen)
    async with turn.store.transaction() as c:
        await rules.hold(c)
        one = await _find(turn, c, lock=True)
        require_tag(request, one.revision)
        await _require_fresh(c, one)
        if turn.services.two_person and one.author_id == turn.caller.user_id:
            raise conflict(
                "RULE-16",
                "Two-person rule: a draft must be activated by someone other than its author",
            )
        comment = comment_of(body) or one.comment
        made = await rulesets.enforce(turn, c, (one.rules, one.tests), comment)
        await rule_versions.drop_draft(c, one.id)
    turn.services.wake()
    answer = turn.ok("ruleset", shown.version(turn.links, made, in_force=True, whole=True))
    return with_tag(answer, made.version)


async def _require_fresh(c: Connection, one: Draft) -> None:
    newest = await rule_versions.in_force(c)
    if newest.version != one.base:
        raise conflict(
            "RULE-14",
            f"The draft is based on version {one.base}, and {newest.version} is in force: "
            "renew it with a PUT",
        )


async def _pass_tests(turn: RequestContext, one: Draft) -> None:
    if not one.tests:
        return
    asked = SimulationRequest(one.rules, one.tests, effect=False)
    found = await turn.services.foresee(turn.store, asked)
    for failed in found["failedTests"]:
        raise conflict("RULE-15", f"Not activated: {failed['message']}", failed["name"])


async def _asked(turn: RequestContext) -> Given:
    """The draft that the path names, or the set in the body; its elements exist."""
    named = "draft" in turn.request.match_info
    given = None if named else await _given(turn.request)
    async with turn.store.read() as c:
        if given is None:
            one = await _find(turn, c)
            given = Given(one.rules, one.tests, one.comment)
        await require_elements(c, given.rules)
    return given


def _days(turn: RequestContext) -> int:
    given = turn.query_text("days")
    if given is None:
        return DAYS
    if not (given.isascii() and given.isdigit() and int(given) <= DAYS_MAX):
        raise ApiError(
            ErrorKind.INVALID,
            "400-BAD-REQUEST",
            f"days: a number from 0 to {DAYS_MAX}",
            field="days",
        )
    return int(given)


async def _given(request: web.Request) -> Given:
    body: Any = await parse(request)
    return Given(read_rules(body), read_tests(body), comment_of(body))


async def _find(turn: RequestContext, c: Connection, *, lock: bool = False) -> Draft:
    (number,) = turn.ids("draft")
    found = await rule_versions.draft(c, number, lock=lock)
    if found is None:
        raise ApiError(ErrorKind.ABSENT, "RULE-17", "There is no such draft of the rules")
    return found


def _answer(turn: RequestContext, one: Draft) -> web.Response:
    answer = turn.ok("ruleset", shown.draft(turn.links, one, whole=True))
    return with_tag(answer, one.revision)
