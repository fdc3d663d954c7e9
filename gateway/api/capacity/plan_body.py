"""What a client says about a plan: what is to be planned, and which moves it approves."""

from collections.abc import Mapping
from typing import Any

from gateway.api.request_bodies import as_object, id_of, invalid, links
from gateway.plans.propose import PlanQuestion

KINDS = ("drain", "rebalance", "consolidate")
PLAN_MOVES_MAX = 10_000
PLAN_PINNED_MAX = 1000
REST_MAX_S = 604_800
_OPTIONS = {
    "restInSeconds": ("rebalance", "consolidate"),
    "movesMaxPercent": ("rebalance", "consolidate"),
    "gainMinPercent": ("rebalance",),
    "savedMin": ("consolidate",),
}
"""The kinds of plan that each option goes with."""


def read_plan(body: object) -> tuple[PlanQuestion, int | None]:
    """The body of POST plans: the question (its datacenter 0 where a machine says it), and the
    machine it names."""
    given = as_object(body)
    kind = given.get("kind")
    if kind not in KINDS:
        raise invalid("kind", f"one of {', '.join(KINDS)} is needed")
    found = {link.rel: link for link in links(given)}
    needed = "machine" if kind == "drain" else "datacenter"
    if needed not in found:
        raise invalid(f"links[{needed}]", f"a link to a {needed} is needed")
    host = id_of(found["machine"], "machines") if kind == "drain" else None
    datacenter = 0 if kind == "drain" else id_of(found["datacenter"], "datacenters")
    for name, of in _OPTIONS.items():
        if given.get(name) is not None and kind not in of:
            raise invalid(name, f"it goes with {' and '.join(of)} only")
    question = PlanQuestion(
        str(kind),
        datacenter,
        host,
        rest_s=float(_number(given, "restInSeconds", 600, REST_MAX_S)),
        moves_max_percent=_number(given, "movesMaxPercent", 10, 100),
        saved_min=_number(given, "savedMin", 1, PLAN_MOVES_MAX),
        gain_min_percent=_number(given, "gainMinPercent", 5, 100),
        pinned=_numbers(given, "pinned", PLAN_PINNED_MAX) or (),
    )
    return question, host


def read_chosen(body: Mapping[str, Any] | None) -> tuple[int, ...] | None:
    """`moves`: the numbers of the approved ones; None for all."""
    return None if body is None else _numbers(body, "moves", PLAN_MOVES_MAX)


def _numbers(body: Mapping[str, Any], name: str, most: int) -> tuple[int, ...] | None:
    given = body.get(name)
    if given is None:
        return None
    wrong = not isinstance(given, list) or len(given) > most
    if wrong or any(type(each) is not int or not 0 <= each < 2**53 for each in given):
        raise invalid(name, f"a list of at most {most} numbers is needed")
    return tuple(given)


def _number(body: Mapping[str, Any], name: str, otherwise: int, most: int) -> int:
    value = body.get(name)
    if value is None:
        return otherwise
    if type(value) is not int or not 0 <= value <= most:
        raise invalid(name, f"a whole number from 0 to {most} is needed")
    return value
