"""Passwords are hashed with argon2, verified off the event loop, few at a time."""

import asyncio
import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

AT_ONCE = 2
"""Verifications at once: each takes tens of MiB and milliseconds by design.

One is for callers that are known, one for strangers: see `authenticator`.
"""

_hasher = PasswordHasher()


def _yield_to_others() -> None:
    """Let the event loop go first on a computer whose CPUs are all busy (on Linux)."""
    with contextlib.suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


_NICE = 19
_threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2", initializer=_yield_to_others)
# Verified when there is no such user, so that both answers take as long.
_NOBODY = _hasher.hash("nobody has this password")


def hash_password(password: str) -> str:
    """The hash to keep; takes tens of milliseconds."""
    return _hasher.hash(password)


def matches(kept: str | None, password: str) -> bool:
    """Whether `password` has the kept hash; None is nobody's."""
    try:
        return _hasher.verify(kept or _NOBODY, password) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


async def verify(kept: str | None, password: str) -> bool:
    """`matches`, without holding up the event loop."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads, matches, kept, password)
