"""Versions and drafts of the rule set on the wire."""

from collections.abc import Mapping
from typing import Any

from gateway.api.http.links import Linker
from gateway.api.rules.ruleset_body import shown_rules
from gateway.store.rules.rule_versions import Body, Draft, Version

ROOT = "admin/rulesets"


def version(links: Linker, one: Version, *, in_force: bool, whole: bool) -> dict[str, Any]:
    """A version; its rules and tests when `whole`."""
    path = f"{ROOT}/{one.version}"
    head = {
        "version": one.version,
        "inForce": in_force,
        "author": one.author or None,
        "comment": one.comment,
        "timestamp": one.at.isoformat(),
        "parent": one.parent,
        "counts": _counts(one.rules, one.tests),
    }
    found = [
        links.link("self", path, "ruleset", title=one.comment or f"version {one.version}"),
        links.link("diff", f"{path}/action/diff", "rulesetdiff"),
        links.link("rollback", f"{path}/action/rollback", "ruleset"),
    ]
    return {**head, **(content(one.rules, one.tests) if whole else {}), "links": found}


def draft(links: Linker, one: Draft, *, whole: bool) -> dict[str, Any]:
    """A draft; its rules and tests when `whole`."""
    path = f"{ROOT}/drafts/{one.id}"
    head = {
        "id": one.id,
        "base": one.base,
        "revision": one.revision,
        "author": one.author,
        "comment": one.comment,
        "timestamp": one.at.isoformat(),
        "counts": _counts(one.rules, one.tests),
    }
    actions = ("validate", "simulate", "diff", "activate")
    found = [links.link("edit", path, "ruleset", title=one.comment or f"draft {one.id}")]
    found += [links.link(each, f"{path}/action/{each}", "ruleset") for each in actions]
    return {**head, **(content(one.rules, one.tests) if whole else {}), "links": found}


def content(rules: Body, tests: Body) -> dict[str, Any]:
    """What a person writes."""
    return {**shown_rules(rules), "tests": [_test(one) for one in tests]}


def diff(before: tuple[Body, Body], after: tuple[Body, Body]) -> dict[str, Any]:
    """Rules and tests of one set that the other has not, or has otherwise."""
    was, now = _by_element(before[0]), _by_element(after[0])
    tests_was = {one["name"]: one for one in before[1]}
    tests_now = {one["name"]: one for one in after[1]}
    return {
        "added": content([row for key, row in now.items() if key not in was], []),
        "removed": content([row for key, row in was.items() if key not in now], []),
        "changed": [
            {"before": _one(was[key]), "after": _one(row)}
            for key, row in now.items()
            if key in was and was[key] != row
        ],
        "tests": {
            "added": [_test(one) for name, one in tests_now.items() if name not in tests_was],
            "removed": [_test(one) for name, one in tests_was.items() if name not in tests_now],
            "changed": [
                {"before": _test(tests_was[name]), "after": _test(one)}
                for name, one in tests_now.items()
                if name in tests_was and tests_was[name] != one
            ],
        },
        "links": [],
    }


def _by_element(rules: Body) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {(r["kind"], r["level"], r["element_id"], r["other_id"]): r for r in rules}


def _one(row: Mapping[str, Any]) -> dict[str, Any]:
    """A rule with the name of its collection."""
    shown = shown_rules([dict(row)])
    field = next(name for name, rows in shown.items() if rows)
    return {"rules": field, **shown[field][0]}


def _counts(rules: Body, tests: Body) -> dict[str, int]:
    return {name: len(rows) for name, rows in content(rules, tests).items()}


def _test(one: Mapping[str, Any]) -> dict[str, Any]:
    return dict(one)
