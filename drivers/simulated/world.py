"""The world: hosts, VMs and volumes in SQLite, so that it outlives the processes that use it.

Long work ends by the world's clock whoever looks, as a migration goes on in real hypervisors
while the gateway is dead. A log of calls lets tests prove that nothing was begun twice.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from drivers.changes import Change
from drivers.simulated.options import HostSize

Row = sqlite3.Row


class World:
    """One world; each method is one transaction. Safe for threads and for processes."""

    def __init__(self, path: str = "") -> None:
        self.path = path
        self._lock = threading.RLock()
        self._db = sqlite3.connect(
            path or ":memory:", check_same_thread=False, isolation_level=None, timeout=30
        )
        self._db.row_factory = sqlite3.Row
        if path:
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = off")
        self._db.executescript(files("drivers.simulated").joinpath("schema.sql").read_text())

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def changing(self) -> Iterator["World"]:
        """One transaction, with the world brought up to now first."""
        with self._lock:
            self._db.execute("begin immediate")
            try:
                self._advance()
                yield self
            except BaseException:
                self._db.execute("rollback")
                raise
            self._db.execute("commit")

    def rows(self, statement: str, *values: object) -> list[Row]:
        """All rows of a statement."""
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    def row(self, statement: str, *values: object) -> Row | None:
        """The first row, or None."""
        found = self.rows(statement, *values)
        return found[0] if found else None

    def now_s(self) -> float:
        """The world's clock: wall time, plus what tests stepped it ahead."""
        row = self.row("select ahead from clock")
        assert row is not None
        return time.time() + float(row["ahead"])

    def step(self, seconds: float) -> None:
        """Let time pass at once."""
        with self.changing():
            self.rows("update clock set ahead = ahead + ?", seconds)
        with self.changing():
            pass

    # -- what a test or an operator does to it -----------------------------------------------

    def add_host(self, name: str, size: HostSize) -> None:
        """A host is there from now on; a known one takes the new size."""
        with self.changing():
            self.rows(
                """insert into host (name, cpus, ram_mib) values (?, ?, ?)
                   on conflict (name) do update set cpus = excluded.cpus,
                     ram_mib = excluded.ram_mib""",
                name,
                size.cpus,
                size.ram_mib,
            )

    def plan(self, host: str, verb: str, kind: str, *, late: bool = False, times: int = 1) -> None:
        """The next `times` calls of `verb` on `host` fail with a fault of `kind`, before their
        effect, or after it when `late`."""
        with self.changing():
            self.rows(
                "insert into fault (host, verb, kind, late, times) values (?, ?, ?, ?, ?)",
                host,
                verb,
                kind,
                int(late),
                times,
            )

    def plan_ending(self, vm: str, ending: str) -> None:
        """The fault planned last leaves the VM as `drivers.simulated.endings` says."""
        with self.changing():
            self.rows("insert into ending select max(n), ?, ? from fault", vm, ending)

    def ending(self, fault: Row) -> Row | None:
        """What was planned to be so after a fault."""
        return self.row("select * from ending where fault = ?", fault["n"])

    def freeze(self, host: str) -> None:
        """Calls to the host hang until `thaw`."""
        self._set_host(host, "frozen", 1)

    def thaw(self, host: str) -> None:
        """Let a frozen host answer again."""
        self._set_host(host, "frozen", 0)

    def unreachable(self, host: str) -> None:
        """Nobody answers there; its VMs go on."""
        self._set_host(host, "reachable", 0)

    def reachable(self, host: str) -> None:
        """It answers again."""
        self._set_host(host, "reachable", 1)

    def power_loss(self, host: str) -> None:
        """The host stops at once: its VMs are off, moves from and to it fail."""
        with self.changing():
            self.rows("update host set reachable = 0 where name = ?", host)
            self.rows(
                """update vm set state = 'OFF'
                   where host = ? and arriving = 0 and state <> 'DEALLOCATED'""",
                host,
            )
            for job in self.rows(
                """select rowid, * from job where state = 'running'
                   and (source = ? or target = ?)""",
                host,
                host,
            ):
                self.fail_job(job)

    def foreign(self, host: str, vm: str, cpu: int, ram_mib: int) -> None:
        """A running VM that is not ours."""
        with self.changing():
            self.rows(
                """insert into vm (vm, host, name, cpu, ram_mib, state, task)
                   values (?, ?, 'foreign', ?, ?, 'ON', '')""",
                vm,
                host,
                cpu,
                ram_mib,
            )

    def deafen(self, vm: str) -> None:
        """The guest ignores shutdown requests from now on."""
        with self.changing():
            self.rows("update vm set deaf = 1 where vm = ?", vm)

    def set_state(self, vm: str, state: str) -> None:
        """Somebody else changed the VM's power."""
        with self.changing():
            row = self.row("select host from vm where vm = ? and arriving = 0", vm)
            self.rows("update vm set state = ? where vm = ? and arriving = 0", state, vm)
            if row is not None:
                what = Change.STARTED if state == "ON" else Change.STOPPED
                self.tell(row["host"], vm, what)

    # -- what the driver uses inside `changing` ----------------------------------------------

    def note(self, host: str, verb: str, vm: str, task: str) -> None:
        """Log a call that has an effect."""
        self.rows(
            "insert into call (at, host, verb, vm, task, pid) values (?, ?, ?, ?, ?, ?)",
            time.time(),
            host,
            verb,
            vm,
            task,
            os.getpid(),
        )

    def tell(self, host: str, vm: str, what: Change) -> None:
        """Report a state change."""
        self.rows(
            "insert into change (at, host, vm, what) values (?, ?, ?, ?)",
            time.time(),
            host,
            vm,
            what.value,
        )

    def planned(self, host: str, verb: str) -> Row | None:
        """The fault planned for this call, used up by asking."""
        found = self.row(
            "select * from fault where host = ? and verb = ? and times > 0 order by n limit 1",
            host,
            verb,
        )
        if found is not None:
            self.rows("update fault set times = times - 1 where n = ?", found["n"])
        return found

    def start_job(self, **values: Any) -> None:
        """Begin long work that ends by the clock."""
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        self.rows(f"insert into job ({names}) values ({marks})", *values.values())

    def _set_host(self, host: str, column: str, value: int) -> None:
        with self.changing():
            self.rows(f"update host set {column} = ? where name = ?", value, host)

    def _advance(self) -> None:
        """End the long work whose time has come."""
        for job in self.rows(
            "select rowid, * from job where state = 'running' and ends <= ?", self.now_s()
        ):
            if job["kind"] == "relocate":
                self._arrive(job)
            else:
                self._shut_down(job)

    def _arrive(self, job: Row) -> None:
        at_source = self.row("select * from vm where vm = ? and host = ?", job["vm"], job["source"])
        if at_source is None:
            self.fail_job(job)
            return
        self.rows("delete from vm where vm = ? and host = ?", job["vm"], job["source"])
        self.rows(
            "update vm set arriving = 0, state = ?, boots = ? where vm = ? and host = ?",
            at_source["state"],
            at_source["boots"],
            job["vm"],
            job["target"],
        )
        self.rows("update job set state = 'done' where rowid = ?", job["rowid"])
        self.tell(job["source"], job["vm"], Change.DEPARTED)
        self.tell(job["target"], job["vm"], Change.ARRIVED)

    def _shut_down(self, job: Row) -> None:
        self.rows("update job set state = 'done' where rowid = ?", job["rowid"])
        self.rows(
            "update vm set state = 'OFF' where vm = ? and host = ? and state = 'ON'",
            job["vm"],
            job["source"],
        )
        self.tell(job["source"], job["vm"], Change.STOPPED)

    def fail_job(self, job: Row) -> None:
        """Long work fails: a half-made copy on the target goes."""
        self.rows("update job set state = 'failed' where rowid = ?", job["rowid"])
        if job["kind"] == "relocate":
            self.rows(
                "delete from vm where vm = ? and host = ? and arriving = 1",
                job["vm"],
                job["target"],
            )
