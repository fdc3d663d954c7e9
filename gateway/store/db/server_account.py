"""Which account runs our own PostgreSQL, which refuses to run as root.

Root runs it in a user namespace where the system allows one: files stay root's and no folder is
opened to another user. Elsewhere, as in most containers, root runs it under an unprivileged account
of the system, which then owns the server's folders.
"""

import os
import pwd
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gateway.child_environment import child_environment

_NOBODY = 65534
_NAMESPACE = ("unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}")
_ACCOUNTS = ("vmgate", "postgres", "nobody")
_SEARCH = (
    "--securebits=+no_setuid_fixup",  # access(2) counts capabilities only then
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
)


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """How a program of PostgreSQL is started, and who then owns the files that it writes."""

    prefix: tuple[str, ...]
    uid: int
    gid: int

    def own(self, folder: Path) -> None:
        """Hand `folder`, with all that is in it, to the account unless it has it already."""
        if folder.exists() and folder.lstat().st_uid != self.uid:
            for path in _all(folder):
                os.chown(path, self.uid, self.gid, follow_symlinks=False)


def server_account(home: Path, binaries: Path) -> ServerAccount:
    """Return the account for a server whose files are under `home` and programs in `binaries`.

    Raises LookupError when root may make no user namespace and the system has no such account.
    """
    if os.geteuid() != 0:
        return ServerAccount((), os.geteuid(), os.getegid())
    if _works((*_NAMESPACE, "true")):
        return ServerAccount(_NAMESPACE, 0, 0)
    found = _account()
    # Only to pass the folders above, which stay closed to the account otherwise.
    more = () if _is_reachable(home) and _is_reachable(binaries / "lib") else _SEARCH
    change = ("setpriv", f"--reuid={found.pw_uid}", f"--regid={found.pw_gid}", "--clear-groups")
    return ServerAccount((*change, *more, "--"), found.pw_uid, found.pw_gid)


def _account() -> pwd.struct_passwd:
    for name in _ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LookupError(
        "as root vmgate runs its own PostgreSQL in a user namespace, which this system refuses, or"
        f" under one of the accounts {', '.join(_ACCOUNTS)}, of which it has none: run vmgate as"
        " another user, or set DATABASE_URL"
    )


@cache
def _works(command: tuple[str, ...]) -> bool:
    try:
        tried = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=child_environment(),
            check=False,
        )
    except OSError:
        return False
    return tried.returncode == 0


def _is_reachable(home: Path) -> bool:
    """Return whether any account may pass all the folders above `home`."""
    return all(folder.stat().st_mode & 0o001 for folder in home.absolute().parents)


def _all(folder: Path) -> Iterator[Path]:
    yield folder
    for above, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(above) / name
