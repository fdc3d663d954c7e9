"""A refusal as one message, so that another process can find the advice, and the answer to it."""

from typing import Any

import msgspec

from scheduler.advice.advising import advise
from scheduler.advice.scene import Around, Scene
from scheduler.advice.telling import row
from scheduler.demand import Demand
from scheduler.fit_policy import FitPolicy
from scheduler.inventory import Datastore, Host, RuleSet, Scope
from scheduler.placement import HostVerdict
from scheduler.rulebook import objections


class Asked(msgspec.Struct, frozen=True):
    """A scene, and the hosts of it that came nearest."""

    demand: Demand
    policy: FitPolicy
    hosts: tuple[Host, ...]
    datastores: tuple[Datastore, ...]
    scopes: tuple[Scope, ...]
    rules: RuleSet
    around: Around
    nearest: tuple[int, ...]


_decoder = msgspec.json.Decoder(Asked)


def encode(scene: Scene, nearest: tuple[HostVerdict, ...]) -> bytes:
    """The message, in one line."""
    asked = Asked(
        scene.demand,
        scene.policy,
        tuple(scene.hosts.values()),
        tuple(scene.datastores.values()),
        tuple(scene.scopes.values()),
        scene.rules,
        scene.around,
        tuple(each.host for each in nearest),
    )
    return msgspec.json.encode(asked)


def answered(message: bytes) -> bytes:
    """The advice as rows in JSON, in one line; raises ValueError where the message is none."""
    asked = _decoder.decode(message)
    scene = Scene(
        asked.demand,
        asked.policy,
        {host.id: host for host in asked.hosts},
        {store.id: store for store in asked.datastores},
        {(scope.kind, scope.id): scope for scope in asked.scopes},
        asked.rules,
        asked.around,
    )
    rows: list[dict[str, Any]] = [row(each) for each in advise(scene, _verdicts(scene, asked))]
    return msgspec.json.encode(rows)


def _verdicts(scene: Scene, asked: Asked) -> list[HostVerdict]:
    found = []
    for id in asked.nearest:
        at = scene.candidate(scene.hosts[id])
        reasons = objections(asked.demand, at)
        found.append(HostVerdict(id, at.host.name, reasons, at.datastores))
    return found
