"""Callers whose credentials were verified lately, under a keyed hash of the credentials.

An entry is renewed in the background before it lapses, so that no request waits for that. What
lapsed is kept as a proof: while the user's password hash is the one that was verified, the same
credentials need no second verification.
"""

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

from gateway.store.users import User

ENTRIES_MAX = 10_000
_RENEW_FROM = 0.5
_RENEW_SPREAD = 0.25


@dataclass(frozen=True, slots=True)
class Verified:
    """A user whose credentials are right; `session_id` of a token, None for a password.

    Good until `lapses_at` on the steady clock, to be renewed from `renews_at` on.
    """

    user: User
    session_id: UUID | None = None
    renews_at: float = 0.0
    lapses_at: float = 0.0


class CredentialCache:
    """At most ENTRIES_MAX of them; the least recently used go first."""

    def __init__(
        self, secret: bytes, remembered_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._secret = secret
        self._remembered_s = remembered_s
        self._now = now
        self._entries: OrderedDict[bytes, Verified] = OrderedDict()
        self.forgotten = 0
        """Grows with each `forget`: what was read from the store before may be out of date."""

    def key(self, identity: str) -> bytes:
        """Return credentials as they are remembered."""
        return hmac.digest(self._secret, identity.encode(), hashlib.sha256)

    def get(self, key: bytes) -> Verified | None:
        """Return the entry that has not lapsed."""
        found = self._entries.get(key)
        if found is None or found.lapses_at <= self._now():
            return None
        self._entries.move_to_end(key)
        return found

    def is_due(self, entry: Verified) -> bool:
        """True if the entry is to be renewed."""
        return entry.renews_at <= self._now()

    def proof(self, key: bytes) -> Verified | None:
        """Return the entry, also if it has lapsed."""
        return self._entries.get(key)

    def put(self, key: bytes, found: Verified, lasts_s: float | None = None) -> Verified:
        """Remember a user, not longer than `lasts_s`; returns the entry."""
        now = self._now()
        good_s = min(self._remembered_s, lasts_s or self._remembered_s)
        # Entries that were made at the same moment are not renewed at the same moment.
        share = _RENEW_FROM + _RENEW_SPREAD * key[0] / 255
        entry = replace(found, renews_at=now + good_s * share, lapses_at=now + good_s)
        self._entries[key] = entry
        self._entries.move_to_end(key)
        while len(self._entries) > ENTRIES_MAX:
            self._entries.popitem(last=False)
        return entry

    def drop(self, key: bytes) -> None:
        """Forget an entry that is not right any more."""
        self._entries.pop(key, None)

    def forget(self, session_id: UUID) -> None:
        """Forget all tokens of a session that ended."""
        self.forgotten += 1
        ended = [key for key, one in self._entries.items() if one.session_id == session_id]
        for key in ended:
            del self._entries[key]
