"""Who a request's credentials belong to, verified as seldom as can be and by few at a time.

    credentials --> cache --- fresh ----------------------------------------> user
                      |        (due: renewed in the background, nobody waits)
                      |
                      +------ not fresh --> one verification for equal credentials
                                             token:    a read of the store
                                             lapsed:   a read, while the password hash is the same
                                             password: must it wait? --> 429
                                                       lane of the known, or of strangers
                                                       must it wait now? --> 429
                                                       argon2 off the event loop

A failure makes the next try wait: of the same login from the same address, and of any login that
is not known from that address. Neither stops who has been let in: remembered credentials, right
tokens, and a login that is known from that address are not held up by failures of others.
"""

import asyncio
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.api.auth import passwords
from gateway.api.auth.credential_cache import CredentialCache, Verified
from gateway.api.auth.credentials import Credentials
from gateway.api.auth.refused_logins import LoginRefusal, RefusedLogin, RefusedLogins
from gateway.api.auth.throttle import Throttle
from gateway.api.auth.user_reader import UserReader
from gateway.api.auth.verification_queue import QueueFull, VerificationQueue
from gateway.denial import ApiError, ErrorKind, TooMany
from gateway.store import users
from gateway.store.db.pool import Store, StoreError
from gateway.store.users import User

PAIR_FREE, PAIR_LONGEST_S = 5, 300.0
"""Failures of a login from one address before the next has to wait, and the longest wait."""
ADDRESS_FREE, ADDRESS_LONGEST_S = 30, 30.0
"""The same for all logins of one address, and for all tokens of one address: tokens end by
themselves, and many clients may come from one address."""
TOKEN_REMEMBERED_S = 30.0
KNOWN_MAX = 10_000
_WAITING_MAX, _WAITING_EACH = 512, 256
_BUSY_S = 1.0
_TOKENS_AT_ONCE, _RENEWALS_AT_ONCE = 3, 2  # sessions left for requests
Pair: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Wrong:
    """The credentials are wrong; `wait_s` is above 0 if that was one try too many."""

    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Later:
    """Not verified: the address that began it has to wait, or too many wait."""

    wait_s: float
    why: LoginRefusal


_Outcome: TypeAlias = Verified | _Wrong | _Later


class Authenticator:
    """One for each process that serves the API."""

    def __init__(
        self,
        store: Store,
        cache: CredentialCache,
        refused: RefusedLogins,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self.cache = cache
        self.refused = refused
        self._pairs = Throttle(PAIR_FREE, PAIR_LONGEST_S, now)
        self._addresses = Throttle(ADDRESS_FREE, ADDRESS_LONGEST_S, now)
        self._tokens = Throttle(ADDRESS_FREE, ADDRESS_LONGEST_S, now)
        self._known: OrderedDict[Pair, None] = OrderedDict()
        self._flights: dict[bytes, asyncio.Task[_Outcome]] = {}
        self._renewals: dict[bytes, asyncio.Task[None]] = {}
        self._users = UserReader(store)
        self._renewing = asyncio.Semaphore(_RENEWALS_AT_ONCE)
        self._known_lane = VerificationQueue(1, _WAITING_MAX, _WAITING_EACH)
        self._stranger_lane = VerificationQueue(1, _WAITING_MAX, _WAITING_EACH)
        self._token_lane = VerificationQueue(_TOKENS_AT_ONCE, _WAITING_MAX, _WAITING_EACH)

    async def admit(self, given: Credentials, remote: str | None) -> Verified:
        """Return whose the credentials are; raises ApiError 401, or 429 with the time to wait."""
        key = self.cache.key(given.identity)
        entry = self.cache.get(key)
        if entry is not None:
            if self.cache.is_due(entry):
                self._renew(key, given, entry)
            return entry
        address = network_of(remote)
        while True:
            self._require_patience(key, given, address)
            outcome = await self._shared(key, given, address)
            match outcome:
                case Verified():
                    self._remember_pair((given.login, address))
                    return outcome
                case _Wrong():
                    self._raise_if_early(outcome.wait_s, LoginRefusal.THROTTLED)
                    raise unauthenticated()
                # Another address began it: if this one need not wait, it begins one of its own.
                case _Later():
                    if outcome.why is LoginRefusal.BUSY or self._wait_s(given, address) > 0:
                        self._raise_if_early(outcome.wait_s, outcome.why)

    async def aclose(self) -> None:
        """Give up what is being verified."""
        running = [*self._flights.values(), *self._renewals.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._users.aclose()
        await self.refused.aclose()

    def _require_patience(self, key: bytes, given: Credentials, address: str) -> None:
        """Raise ApiError 429 for a password that may not be tried yet.

        A right token is never held up, and neither are credentials that were right.
        """
        if not given.is_token and self.cache.proof(key) is None:
            self._raise_if_early(self._wait_s(given, address), LoginRefusal.THROTTLED)

    def _raise_if_early(self, wait_s: float, why: LoginRefusal) -> None:
        if wait_s > 0:
            self.refused.counts.refused[why] += 1
            raise _too_many(wait_s, why)

    def _wait_s(self, given: Credentials, address: str) -> float:
        if given.is_token:
            return self._tokens.wait_s(address)
        pair = (given.login, address)
        others_s = 0.0 if pair in self._known else self._addresses.wait_s(address)
        return max(self._pairs.wait_s(pair), others_s)

    async def _shared(self, key: bytes, given: Credentials, address: str) -> _Outcome:
        """Verify, or wait for the verification of equal credentials that runs already."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._begin(self._flights, key, self._verify(key, given, address))
        return await asyncio.shield(flight)

    def _begin(
        self, running: dict[bytes, asyncio.Task[Any]], key: bytes, work: Coroutine[Any, Any, Any]
    ) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        running[key] = task

        def ended(task: asyncio.Task[Any]) -> None:
            del running[key]
            if not task.cancelled():
                task.exception()  # seen: whoever began it may have gone

        task.add_done_callback(ended)
        return task

    async def _verify(self, key: bytes, given: Credentials, address: str) -> _Outcome:
        forgotten = self.cache.forgotten
        found: Verified | _Later | None
        if given.is_token:
            lane, found = self._token_lane, None
        else:
            found = await self._proved(key)
            known = (given.login, address) in self._known
            lane = self._known_lane if known else self._stranger_lane
        left_s: float | None = None
        if found is None:
            try:
                async with lane.turn(address):
                    if not given.is_token and (wait_s := self._wait_s(given, address)) > 0:
                        return _Later(wait_s, LoginRefusal.THROTTLED)
                    user, found, left_s = await self._looked_up(given)
            except QueueFull:
                return _Later(_BUSY_S, LoginRefusal.BUSY)
            if found is None:
                return self._failed(given, address, user)
            self._pairs.succeeded((given.login, address))
        # A log-out meanwhile may have ended what was read before.
        return found if self.cache.forgotten != forgotten else self.cache.put(key, found, left_s)

    async def _looked_up(
        self, given: Credentials
    ) -> tuple[User | None, Verified | None, float | None]:
        """The user named, what was verified, and how many seconds that is good."""
        if given.is_token:
            return await self._by_token(given.secret)
        async with self._store.read() as c:
            user = await users.by_nick(c, given.login)
        self.refused.counts.verified += 1
        right = await passwords.verify(user.password_hash if user else None, given.secret)
        good = user is not None and right and user.active
        return user, Verified(user) if user is not None and good else None, None

    async def _by_token(self, token: str) -> tuple[None, Verified | None, float | None]:
        async with self._store.read() as c:
            bearer = await users.by_token(c, token)
        if bearer is None or not bearer.user.active:
            return None, None, None
        left_s = min(bearer.left_s, TOKEN_REMEMBERED_S)
        return None, Verified(bearer.user, bearer.session_id), left_s

    async def _proved(self, key: bytes) -> Verified | None:
        """The user as they are now, if the password hash is the one that was verified."""
        proof = self.cache.proof(key)
        if proof is None:
            return None
        user = await self._users.get(proof.user.id)
        if user is None or not user.active or user.password_hash != proof.user.password_hash:
            self.cache.drop(key)
            return None
        return Verified(user)

    def _failed(self, given: Credentials, address: str, user: User | None) -> _Wrong:
        """Count a failure, unless the next token was to wait already."""
        if given.is_token:
            if (early_s := self._tokens.wait_s(address)) > 0:
                return _Wrong(early_s)
            failures, free = self._tokens.failed(address), ADDRESS_FREE
        else:
            failures, free = self._pairs.failed((given.login, address)), PAIR_FREE
            self._addresses.failed(address)
        wait_s = self._wait_s(given, address)
        self.refused.wrong(
            RefusedLogin(given.login, address, failures, wait_s, failures == free, user)
        )
        return _Wrong()

    def _remember_pair(self, pair: Pair) -> None:
        if not pair[0]:
            return
        self._known[pair] = None
        self._known.move_to_end(pair)
        while len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    def _renew(self, key: bytes, given: Credentials, entry: Verified) -> None:
        if key not in self._renewals:
            self._begin(self._renewals, key, self._renewed(key, given, entry))

    async def _renewed(self, key: bytes, given: Credentials, entry: Verified) -> None:
        """Read the user anew; a store that is away leaves the entry until it lapses."""
        forgotten = self.cache.forgotten
        left_s: float | None = None
        try:
            async with self._renewing:
                if given.is_token:
                    _, found, left_s = await self._by_token(given.secret)
                else:
                    found = await self._proved(key)
        except StoreError:
            return
        if found is None:
            self.cache.drop(key)
        elif self.cache.forgotten == forgotten:
            self.refused.counts.renewed += 1
            self.cache.put(key, found, left_s)


def network_of(remote: str | None) -> str:
    """Return the address that failures count for: of IPv6 the /64, which one client has whole."""
    try:
        address = ipaddress.ip_address((remote or "").partition("%")[0])
    except ValueError:
        return remote or "local"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def unauthenticated() -> ApiError:
    """The denial of wrong or missing credentials."""
    return ApiError(
        ErrorKind.UNAUTHENTICATED, "401-UNAUTHORIZED", "Log in with Basic credentials or a token"
    )


def _too_many(wait_s: float, why: LoginRefusal) -> ApiError:
    said = "Too many log-ins wait" if why is LoginRefusal.BUSY else "Too many log-ins failed"
    return TooMany(f"{said}; try again in {max(1, math.ceil(wait_s))} s", wait_s)
