"""What the API needs of the rest of the process."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from aiohttp import web

from drivers.capabilities import Capabilities
from gateway.analysis.decision_replay import Recomputed, recompute
from gateway.analysis.rule_simulation import SimulationRequest, foresee
from gateway.api.auth.refused_logins import LoginCounts
from gateway.caller import Caller
from gateway.placement.advice import Adviser
from gateway.placement.fleet_mirror import FleetMirror
from gateway.plans.requests import Reckoning, reckon
from gateway.store.db.pool import Store
from gateway.store.users import SESSION_S, User
from scheduler.plan.move_schedule import Capacities


async def _nothing(host_id: int) -> None:
    """No driver here needs to hear of hosts."""


def _unread(hypervisor: str, address: str) -> None:
    """No driver here reads addresses."""


@dataclass(frozen=True, slots=True)
class LoginTerms:
    """How long verified credentials and sessions are good, and this process's counts; `now` is a
    steady clock."""

    remembered_s: float = 180.0
    session_s: float = SESSION_S
    counts: LoginCounts = field(default_factory=LoginCounts)
    now: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class AppServices:
    """`capabilities` is by VM type, `hypervisors` maps each configured block to its VM type.

    `secret` keys the cache of verified credentials. `wake` pokes workers and sequencer after a
    commit. `host_changed` tells the drivers of a host that came, changed or went; `endpoint_of`
    is the place that an address of a block's host means, and raises AddressError. `foresee` says
    what rules would do, elsewhere than on the event loop; with `two_person` nobody activates
    rules that they wrote. `recompute` makes a decision again, off the event loop, too, and `reckon`
    answers what takes long. `capacities` are what places carry at once while a plan runs;
    `adviser` advises on what is refused at once. `body_s` is how long a client may take to send a
    body, and `logins` says how long credentials are good.
    """

    store: Store
    planner: FleetMirror
    capabilities: Mapping[str, Capabilities]
    public_url: str | None
    secret: bytes = field(repr=False)
    wake: Callable[[], None]
    hypervisors: Mapping[str, str] = field(default_factory=dict)
    capacities: Capacities = field(default_factory=Capacities)
    adviser: Adviser | None = None
    host_changed: Callable[[int], Awaitable[None]] = _nothing
    endpoint_of: Callable[[str, str], str | None] = _unread
    reckon: Callable[[Store, Reckoning], Awaitable[dict[str, Any]]] = reckon
    foresee: Callable[[Store, SimulationRequest], Awaitable[dict[str, Any]]] = foresee
    two_person: bool = False
    logins: LoginTerms = field(default_factory=LoginTerms)
    recompute: Callable[[Store, UUID], Awaitable[Recomputed]] = recompute
    body_s: float = 20.0


CALLER = web.RequestKey("caller", Caller)
USER = web.RequestKey("user", User)
SERVICES = web.AppKey("services", AppServices)
