"""A refusal as one message, so that another process can find the advice, and the answer to it."""

from typing import Any

import msgspec

from scheduler.advice.local_inventory import AdviceContext, LocalInventory
from scheduler.advice.search import advise
from scheduler.advice.text import row
from scheduler.model.demand import Demand
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.inventory import AggregateScope, Datastore, Host, RuleSet
from scheduler.model.placement import HostVerdict
from scheduler.rule_registry import objections


class AdviceRequest(msgspec.Struct, frozen=True):
    """A scene, and the hosts of it that came nearest."""

    demand: Demand
    policy: FitPolicy
    hosts: tuple[Host, ...]
    datastores: tuple[Datastore, ...]
    scopes: tuple[AggregateScope, ...]
    rules: RuleSet
    around: AdviceContext
    nearest: tuple[int, ...]


_decoder = msgspec.json.Decoder(AdviceRequest)


def encode(scene: LocalInventory, nearest: tuple[HostVerdict, ...]) -> bytes:
    """The message, in one line."""
    asked = AdviceRequest(
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
    scene = LocalInventory(
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


def _verdicts(scene: LocalInventory, asked: AdviceRequest) -> list[HostVerdict]:
    found = []
    for id in asked.nearest:
        at = scene.candidate(scene.hosts[id])
        reasons = objections(asked.demand, at)
        found.append(HostVerdict(id, at.host.name, reasons, at.datastores))
    return found
