"""One PostgreSQL data folder, made whole or not at all, and the server over it.

Blocking, and without any locking of its own: `supervisor` is the caller that holds the locks.
"""

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from gateway.child_environment import child_environment
from gateway.store.db.faults import ServerFailed
from gateway.store.db.server_account import ServerAccount, server_account
from gateway.store.db.server_binaries import Binaries

SUPERUSER = "app"
_PORT = 5432
_SOCKET_NAME = f".s.PGSQL.{_PORT}"
_SOCKET_PATH_MAX = 107
_LOG_BYTES_MAX = 16 * 1024 * 1024
# Also quoting-proof: these folders pass through a shell and through a list-valued setting.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./-]+")
_SETTINGS = """
# Written by vmgate when the folder was made; edit freely, the defaults suit a small server.
max_connections = 200
shared_buffers = 128MB
max_wal_size = 512MB
random_page_cost = 1.1
jit = off
autovacuum_naptime = 15s
timezone = 'UTC'
log_timezone = 'UTC'
"""


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The server over `home`/data; `options` are server settings that win over its own file."""

    home: Path
    binaries: Binaries
    options: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def folder(self) -> Path:
        """Where the data lies."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """What the server has to say."""
        return self.home / "server.log"

    @property
    def url(self) -> str:
        """The address for clients on this machine."""
        return f"postgresql://{SUPERUSER}@/postgres?host={quote(str(socket_folder(self.home)))}"

    def alive(self) -> bool:
        """Whether a server accepts connections; it may still be recovering. Does not block."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(str(socket_folder(self.home) / _SOCKET_NAME))
            except BlockingIOError:
                return True  # its backlog is full, so somebody owns the socket
            except OSError:
                return False
        return True

    def create(self) -> None:
        """Make the data folder unless it is there; a crash half-way leaves no half folder."""
        if (self.folder / "PG_VERSION").exists():
            self._account().own(self.folder)
            return
        self._account().own(self.home)
        partial = self.home / "data.partial"
        shutil.rmtree(partial, ignore_errors=True)
        made = ["initdb", "-D", partial.name, "-U", SUPERUSER, "--auth=trust", "-E", "UTF8"]
        try:
            self._run(*made, "--locale=C.UTF-8")
        except ServerFailed:  # a system without that locale
            shutil.rmtree(partial, ignore_errors=True)
            self._run(*made, "--locale=C")
        with (partial / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS)
            settings.flush()
            os.fsync(settings.fileno())
        partial.rename(self.folder)
        _sync_folder(self.home)

    def launch(self, patience_s: float = 60.0) -> None:
        """Start the server and wait until it is ready; raises ServerFailed after `patience_s`.

        Only while no server is alive. Recovery after a crash may take longer than `patience_s`.
        """
        folder = socket_folder(self.home)
        account = self._account()
        account.own(self.home)
        _own_folder(folder, account)
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES_MAX:
            self.log.replace(self.log.with_suffix(".log.1"))
        settings = {
            "listen_addresses": "",
            "port": str(_PORT),
            "unix_socket_directories": str(folder),
            **self.options,
        }
        flags = " ".join(f"-c {shlex.quote(f'{key}={value}')}" for key, value in settings.items())
        end = time.monotonic() + patience_s
        while True:
            self._drop_stale_pid()
            try:
                self._run("pg_ctl", "-D", self.folder.name, "-w", "-t", "300",
                          "-l", self.log.name, "-o", flags, "start")  # fmt: skip
                return
            except ServerFailed:
                if time.monotonic() > end:
                    raise
            time.sleep(0.2)

    def halt(self) -> None:
        """Stop the server, rolling back open transactions; raises ServerFailed if it stays."""
        self._run("pg_ctl", "-D", self.folder.name, "-w", "-t", "120", "-m", "fast", "stop")
        if (folder := socket_folder(self.home)).parent != self.home:
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _drop_stale_pid(self) -> None:
        """Forget a dead server's pid, which by now may be a zombie's or an unrelated program's.

        The server itself would wait for that pid to vanish. The proof of death is that nobody
        accepts on the socket and no PostgreSQL has the data folder as its working folder.
        """
        known = Path("/proc/self/cwd").exists()
        if known and not self.alive() and self.folder.resolve() not in _server_folders():
            (self.folder / "postmaster.pid").unlink(missing_ok=True)

    def _run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs in `home`, which it is never told the name of: they
        pass paths through a shell with too little quoting."""
        command = [*self._account().prefix, str(self.binaries.folder / program), *arguments]
        try:
            ran = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=child_environment(),  # the operator's PGDATA, ... are about other servers
                cwd=self.home,
                check=False,
            )
        except OSError as refused:
            raise ServerFailed(f"cannot run {command[0]}: {refused.strerror}") from refused
        if ran.returncode != 0:
            said = ran.stdout.decode(errors="replace").strip()[-2000:]
            raise ServerFailed(f"{program} failed, see also {self.log}: {said}")

    def _account(self) -> ServerAccount:
        try:
            return server_account(self.home, self.binaries.folder)
        except LookupError as nobody:
            raise ServerFailed(str(nobody.args[0])) from nobody


def made_by(home: Path) -> int | None:
    """The major version that made the data folder under `home`; None when there is none yet."""
    try:
        return int((home / "data" / "PG_VERSION").read_text().split(".")[0])
    except FileNotFoundError:
        return None


def socket_folder(home: Path) -> Path:
    """`home`/run, or a short folder named after it where a socket's path would be too long."""
    folder = home / "run"
    path = str(folder / _SOCKET_NAME)
    if len(os.fsencode(path)) <= _SOCKET_PATH_MAX and _PLAIN_PATH.fullmatch(path):
        return folder
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return Path("/tmp") / f"vmgate-{os.geteuid()}-{digest}"


def _own_folder(folder: Path, account: ServerAccount) -> None:
    """Make `folder` the account's alone: whoever may enter it may enter the database."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in (os.geteuid(), account.uid):
        raise ServerFailed(f"{folder} is not a folder of our own: remove it")
    folder.chmod(0o700)
    account.own(folder)


def _server_folders() -> Iterator[Path]:
    """The working folders of all live PostgreSQL programs that we may see; a zombie has none."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if (entry / "comm").read_text().startswith("postgres"):
                yield Path(os.readlink(entry / "cwd"))


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
