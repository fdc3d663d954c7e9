"""Versions of the rule set: every edit of the workload rules is one; any of them can come back."""

from typing import Any

from aiohttp import web

from gateway.api.access import conflict
from gateway.api.representations import rulesets as shown
from gateway.api.request_bodies import CAUSE_MAX, checked_text
from gateway.api.request_context import RequestContext
from gateway.api.rules.rules import ALONE
from gateway.api.rules.ruleset_body import TOML, as_toml
from gateway.denial import ApiError, ErrorKind
from gateway.events.event import Event
from gateway.store.capacity import ledger
from gateway.store.db.pool import Connection
from gateway.store.rules import rule_versions, rules
from gateway.store.rules.rule_checks import require_elements
from gateway.store.rules.rule_versions import Body, RuleSetContent, Version

VERSIONS_MAX = 1000


async def list_all(request: web.Request) -> web.Response:
    """GET: the newest versions, newest first."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        found = await rule_versions.versions(c, VERSIONS_MAX)
    rows = [shown.version(turn.links, one, in_force=one is found[0], whole=False) for one in found]
    return turn.whole("rulesets", rows)


async def read(request: web.Request) -> web.Response:
    """GET: one version, as JSON or TOML."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        one = await find(turn, c)
        newest = await rule_versions.in_force(c)
    if wants_toml(request):
        return toml({"comment": one.comment, **shown.content(one.rules, one.tests)})
    body = shown.version(turn.links, one, in_force=one == newest, whole=True)
    return with_tag(turn.ok("ruleset", body), one.version)


async def compare(request: web.Request) -> web.Response:
    """GET: what the version `?with=` has otherwise than this one."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        one = await find(turn, c)
        other = await _version(c, turn.query_text("with"))
    return turn.ok("rulesetdiff", shown.diff((one.rules, one.tests), (other.rules, other.tests)))


async def roll_back(request: web.Request) -> web.Response:
    """POST: what an old version said is in force again, as a new version.

    `If-Match` names the version that is in force now.
    """
    turn = RequestContext(request)
    body = await turn.optional_json() or {}
    async with turn.store.transaction() as c:
        await rules.hold(c)
        newest = await rule_versions.in_force(c)
        require_tag(request, newest.version)
        old = await find(turn, c)
        comment = comment_of(body) or f"back to version {old.version}"
        made = await enforce(turn, c, (old.rules, old.tests), comment)
    turn.services.wake()
    body = shown.version(turn.links, made, in_force=True, whole=True)
    return with_tag(turn.ok("ruleset", body), made.version)


async def enforce(
    turn: RequestContext, c: Connection, rules_and_tests: tuple[Body, Body], comment: str
) -> Version:
    """These rules are in force, with their limits, their version and their event, or nothing is.

    The caller holds the rules.
    """
    given, tests = rules_and_tests
    if not any(row["kind"] == "fit_policy" for row in given):
        raise conflict("RULE-4", f"fitPolicyRules: {ALONE}", "fitPolicyRules")
    await require_elements(c, given)
    caller = turn.caller
    content = RuleSetContent(given, tests, comment, caller.nick, caller.user_id)
    await rule_versions.put_in_force(c, content)
    await ledger.refresh_limits(c, author=turn.caller.nick)
    made = await rule_versions.complete(c, content)
    told: dict[str, Any] = {"version": made.version, "parent": made.parent, "comment": comment}
    await turn.tell(
        c,
        Event(
            "RULES",
            "ACTIVATE",
            made.version,
            message=f"Version {made.version} of the rules is in force",
            details=told,
        ),
    )
    return made


async def find(turn: RequestContext, c: Connection) -> Version:
    """The version that the path names."""
    return await _version(c, turn.request.match_info["ruleset"])


async def _version(c: Connection, given: str | None) -> Version:
    number = int(given) if given and given.isascii() and given.isdigit() else 0
    found = await rule_versions.version(c, number) if number < 2**63 else None
    if found is None:
        raise ApiError(ErrorKind.ABSENT, "RULE-17", "There is no such version of the rules")
    return found


def comment_of(body: Any) -> str:
    """What the caller says of the change."""
    return checked_text(body.get("comment", ""), "comment", CAUSE_MAX, lines=True)


def require_tag(request: web.Request, present: int) -> None:
    """ApiError unless `If-Match` names what is there now."""
    given = request.headers.get("If-Match")
    if given is None:
        raise ApiError(
            ErrorKind.INVALID, "400-BAD-REQUEST", "If-Match: an ETag is needed", field="If-Match"
        )
    if given.strip().removeprefix("W/") != f'"{present}"':
        raise conflict("RULE-18", "If-Match: it was changed meanwhile, read it again", "If-Match")


def with_tag(answer: web.Response, present: int) -> web.Response:
    """The answer with its ETag."""
    answer.headers["ETag"] = f'"{present}"'
    return answer


def wants_toml(request: web.Request) -> bool:
    """Whether the client asks for TOML by name."""
    return TOML in request.headers.get("Accept", "")


def toml(body: dict[str, Any]) -> web.Response:
    """A rule set for people and their version control."""
    return web.Response(text=as_toml(body), content_type=TOML)
