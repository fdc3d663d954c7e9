"""Where a VM is, as all hosts that may have it were seen: one host alone never decides.

The hosts that a call named are looked at first, and then, where none of them has the VM, all
others of the block. What a look cannot tell is no absence: a host that does not answer is silent.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from uuid import UUID

from drivers.contract import Driver
from drivers.facts import PowerState, Sighting
from drivers.faults import Fault

_log = logging.getLogger(__name__)
AT_ONCE = 16
"""Hosts that are looked at at the same time."""
_LIVE = (PowerState.ON, PowerState.PAUSED)


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What each host showed: `seen` by its name, `silent` with why it could not be looked at."""

    seen: Mapping[str, Sighting] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)

    def without(self, hosts: Iterable[str]) -> "Whereabouts":
        """The same, where it does not matter that these are silent."""
        left = {host: why for host, why in self.silent.items() if host not in set(hosts)}
        return replace(self, silent=left)

    def also(self, more: "Whereabouts") -> "Whereabouts":
        """Both together."""
        return Whereabouts({**self.seen, **more.seen}, {**self.silent, **more.silent})


class Word(StrEnum):
    """What the looks say. UNCLEAR: a host is silent, or cannot read the VM."""

    AT = "AT"
    NOWHERE = "NOWHERE"
    DOUBLED = "DOUBLED"
    UNCLEAR = "UNCLEAR"


@dataclass(frozen=True, slots=True)
class Reading:
    """The VM is `AT` the host of `sighting`, and `idle` have a definition that does not run;
    `said` tells why nobody knows where it is."""

    word: Word
    sighting: Sighting | None = None
    idle: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    said: str = ""


def read(found: Whereabouts, home: str, *, one_disk: bool = True) -> Reading:
    """What these looks make of a VM that is recorded on `home`.

    Where it runs, that is where it is. Where it runs nowhere and is defined twice, that is its
    home, unless each definition has a disk of its own (not `one_disk`): nobody knows which counts.
    """
    here = [each for each in found.seen.values() if not each.arriving]
    blurred = [each.host for each in here if each.state is PowerState.UNKNOWN]
    if blurred:
        return Reading(Word.UNCLEAR, said=f"{blurred[0]} cannot read the VM")
    live = [each for each in here if each.state in _LIVE]
    if len(live) > 1:
        hosts = tuple(sorted(each.host for each in live))
        return Reading(Word.DOUBLED, hosts=hosts, said=f"it runs on {' and on '.join(hosts)}")
    one = live[0] if live else _at_rest(here, home, one_disk=one_disk)
    if one is not None and (one.host == home or home not in found.silent):
        idle = tuple(sorted(each.host for each in found.seen.values() if each.host != one.host))
        return Reading(Word.AT, one, idle)
    if found.silent:
        return Reading(Word.UNCLEAR, said="; ".join(sorted(set(found.silent.values()))))
    if here:
        hosts = tuple(sorted(each.host for each in here))
        said = f"it is defined on {' and on '.join(hosts)}, with a disk each"
        return Reading(Word.DOUBLED, hosts=hosts, said=said)
    return Reading(Word.NOWHERE, said="it is on none of the hosts, and all of them were seen")


def _at_rest(here: Sequence[Sighting], home: str, *, one_disk: bool) -> Sighting | None:
    if len(here) == 1:
        return here[0]
    at_home = [each for each in here if each.host == home]
    return at_home[0] if at_home and one_disk else None


async def look_around(
    driver: Driver, vm: UUID, named: Sequence[str], *, widely: bool = False
) -> Whereabouts:
    """Look at the hosts that were named, and at all others where none of them has the VM, or
    `widely`. Raises no fault."""
    found = await _looks(driver, vm, named)
    if found.seen and not widely:
        return found
    known = {host for hosts in driver.endpoints().values() for host in hosts}
    # What carries no mark of ours elsewhere is another VM of that id, and nobody's to follow.
    others = await _looks(driver, vm, sorted(known - set(named)))
    marked = {host: each for host, each in others.seen.items() if each.task is not None}
    return found.also(replace(others, seen=marked))


async def _looks(driver: Driver, vm: UUID, hosts: Iterable[str]) -> Whereabouts:
    turns = asyncio.Semaphore(AT_ONCE)
    seen: dict[str, Sighting] = {}
    silent: dict[str, str] = {}

    async def look(host: str) -> None:
        try:
            async with turns:
                sighting = await driver.look(vm, host)
        except Fault as blind:
            silent[host] = blind.message
        except Exception as bug:
            _log.exception("looking at %s failed in an unforeseen way", host)
            silent[host] = f"{host} cannot be looked at: {type(bug).__name__}"
        else:
            if sighting is not None:
                seen[host] = sighting

    await asyncio.gather(*(look(host) for host in hosts))
    return Whereabouts(seen, silent)


async def with_datastores(driver: Driver, sighting: Sighting) -> Sighting:
    """The sighting with the datastores of its disks, which a listing of its host tells; without
    them where none can be had."""
    for endpoint, hosts in driver.endpoints().items():
        if sighting.host not in hosts:
            continue
        try:
            facts = await driver.survey(endpoint)
        except Fault:
            return sighting
        for each in facts.vms:
            if (each.vm, each.host) == (sighting.vm, sighting.host):
                return replace(sighting, datastores=each.datastores)
    return sighting
