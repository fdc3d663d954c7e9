"""A vCenter for tests, `with vcenter(folder, Shape(...)) as vc:`; it ends with its maker.

A datacenter `lab`; clusters `rack-1`, `rack-2` of hosts `esxi-1-1`...; datastores `shared-1-1`...
of a cluster, `local-1-1`... of a host and `library` of all; networks `VM Network` and `lan-1`...;
VMs `vm-1-1`... and templates `template-1`..., all in one folder. It serves API 6.5.

What it does as a vCenter: tasks that take time, show progress and can be cancelled (clone, create,
relocate) or not; one task at a time for a VM (TaskInProgress); DuplicateName; NoDiskSpace by its
own count; CannotAccessVmDisk where the host does not mount the datastore; a host that is not
connected or is in maintenance takes no VM; no hot plug of CPUs and memory unless enabled;
ConcurrentAccess on an old `changeVersion`; ToolsUnavailable without guest tools; the load of hosts
by what running VMs are given; DRS, unless manual, places at power on where most memory is free;
names are kept escaped (%2f, %5c, %25); memory is a multiple of 4 MiB; Destroy_Task deletes every
disk that is attached; an object that may not be read has its properties missing.

What it does not check, whatever a test there may say:

- CPU and memory: any number of VMs powers on a host, and none is slower for it.
- HA, EVC, affinity rules, admission control, limits of pools; DRS moves no VM that runs.
- Compatibility of CPUs, networks and VM hardware for a vMotion: CheckRelocate_Task looks at hosts
  and datastores, and says what a `taskfault` on it names; the other checks are absent
  (QueryVMotionCompatibility, CheckMigrate_Task, RecommendHostsForVm).
- Pages that a vCenter cuts by itself: only maxObjects and maxObjectUpdates cut here.
- Where privileges are held, but for those on pools. Sessions have no cap, calls no rate limit.
- Maintenance mode is a flag: VMs stay. The files of disks are empty; nothing boots.
- The content library, tags, the REST API, storage policies, customisation.
"""

import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.lab.vsphere import build

_ANSWER_S = 30.0
_END_S = 10.0


class VCenterError(Exception):
    """It did not start, or refused what was asked beside the API."""


def missing() -> str:
    """Why this computer cannot run one; empty when it can."""
    return build.missing()


@dataclass(frozen=True, slots=True)
class Shape:
    """What there is, and how slow it is; each field is an option of the server."""

    clusters: int = 2
    hosts: int = 2
    vms: int = 2
    vms_on: bool = True
    datastores: int = 2
    networks: int = 2
    templates: int = 1
    drs: bool = False
    drs_mode: str = "fullyAutomated"
    host_cores: int = 16
    host_mhz: int = 2600
    host_mib: int = 65536
    datastore_gib: int = 1024
    disk_gib: int = 1
    task_ms: int = 0
    boot_ms: int = 0
    shutdown_ms: int = 0
    delay_ms: int = 0
    session_idle_s: float = 0.0

    def options(self) -> list[str]:
        """The same, for the command line."""
        words = {name.replace("_", "-"): value for name, value in asdict(self).items()}
        idle_s = words.pop("session-idle-s")
        flags = {name: json.dumps(value).strip('"') for name, value in words.items()}
        return [f"-{name}={value}" for name, value in flags.items()] + [f"-session-idle={idle_s}s"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What befalls calls, until it is removed or used up."""

    number: int
    _server: "VCenter"

    def hits(self) -> int:
        """How many calls it has befallen."""
        return int(self._server.ask("GET", "fault").get(str(self.number), 0))

    def remove(self) -> None:
        """No more; what it holds goes on."""
        self._server.ask("DELETE", "fault", self.number)


@dataclass(slots=True)
class VCenter:
    """One that runs. `certificate` is its own; `other_certificate` is as good, but not its own."""

    url: str
    user: str
    password: str
    certificate: Path
    other_certificate: Path
    home: Path
    _child: subprocess.Popen[bytes] = field(repr=False)
    _keeper: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """Its address."""
        return str(urlsplit(self.url).hostname)

    @property
    def port(self) -> int:
        """Its port."""
        return int(urlsplit(self.url).port or 0)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._child.pid

    @property
    def thumbprint(self) -> str:
        """SHA-256 of its certificate, as vSphere writes it: AB:CD:..."""
        der = ssl.PEM_cert_to_DER_cert(self.certificate.read_text())
        return sha256(der).digest().hex(":").upper()

    def fault(
        self,
        method: str,
        kind: str,
        *,
        times: int = 1,
        skip: int = 0,
        fault: str = "",
        status: int = 503,
        ms: int = 0,
        text: str = "",
    ) -> Rule:
        """After `skip` calls of a method ("*": of any) the next `times` (0: all) meet `kind`.

        Kinds: delay, status, drop, dropafter, hold, holdafter, ignore, fault, taskfault, taskhold,
        taskdelay, question; `kinds` in vsphere/rules.go says what each does.
        """
        wanted = {"method": method, "kind": kind, "n": times, "skip": skip, "fault": fault}
        wanted |= {"status": status, "ms": ms, "text": text}
        return Rule(int(self.ask("POST", "fault", wanted)), self)

    def clear(self) -> None:
        """No faults any more; all that was held goes on."""
        self.ask("DELETE", "fault")

    def calls(self) -> dict[str, int]:
        """How many calls of each method there were; ServiceVersions is the GET of the versions."""
        return dict(self.ask("GET", "calls"))

    def forget_calls(self) -> None:
        """Counts from zero again."""
        self.ask("DELETE", "calls")

    def named(self, kind: str) -> dict[str, str]:
        """The managed object ids of a type, such as HostSystem, by name."""
        return dict(self.ask("GET", "inventory").get(kind, {}))

    def files(self, datastore: str) -> set[str]:
        """The files in a datastore, as its own folder shows them: `vm-1-1/disk1.vmdk`."""
        folder = self.home / datastore
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    def set(self, kind: str, moid: str, values: Mapping[str, object]) -> None:
        """A change from outside, such as {"runtime.inMaintenanceMode": True}; told to who waits."""
        self.ask("POST", "set", {"type": kind, "value": moid, "set": dict(values)})

    def guest(self, vm: str, *, tools: bool = True, obeys: bool = True) -> None:
        """From its next boot the guest has tools or none; at once it obeys a shutdown or does not.

        Clones take after their source.
        """
        self.ask("POST", "guest", {"vm": vm, "silent": not tools, "deaf": not obeys})

    def privileges(self, held: Iterable[str] | None, **at: Iterable[str]) -> None:
        """What the user may do, such as Resource.HotMigrate; None: all. `at` adds to single ids."""
        more = {"at": {moid: sorted(names) for moid, names in at.items()}}
        self.ask("POST", "privileges", more | {"held": None if held is None else sorted(held)})

    def hide(self, *objects: str) -> None:
        """The user may not read these objects, by their ids, and may read all others."""
        self.ask("POST", "hidden", list(objects))

    def lose_host(self, host: str) -> None:
        """The vCenter hears no more of the host; its VMs are disconnected, and go on."""
        self.ask("POST", "host", {"host": host, "lost": True})

    def find_host(self, host: str) -> None:
        """The lost host is back."""
        self.ask("POST", "host", {"host": host, "lost": False})

    def end_sessions(self) -> None:
        """An administrator ends all sessions; who waits for updates is refused at once."""
        self.ask("DELETE", "sessions")

    def forget_tasks(self) -> None:
        """Tasks that have ended are known no more, as after some time."""
        self.ask("DELETE", "tasks")

    def freeze(self) -> None:
        """Connections are accepted, and nothing is ever answered."""
        self._keeper = subprocess.Popen(
            ["sh", "-c", f"read _; kill -CONT {self.pid}"], stdin=subprocess.PIPE
        )
        self._child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)  # all its threads have stopped

    def thaw(self) -> None:
        """It goes on; that happens too when this process dies, so that it can end."""
        if self._keeper is not None:
            self._keeper.communicate()
            self._keeper = None

    def kill(self) -> None:
        """It is gone at once, with all it knew."""
        self._child.kill()
        self.stop()

    def stop(self) -> None:
        """It ends; a second time does nothing."""
        self.thaw()
        try:
            self._child.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.communicate()

    def ask(self, method: str, what: str, body: object = None) -> Any:
        """Asks beside the API."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        connection = http.client.HTTPSConnection(
            self.host, self.port, timeout=_ANSWER_S, context=context
        )
        try:
            connection.request(method, f"/lab/{what}", json.dumps(body))
            answer = connection.getresponse()
            content = answer.read().decode()
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise VCenterError(content.strip())
        return json.loads(content)


@contextmanager
def vcenter(home: Path, shape: Shape | None = None) -> Iterator[VCenter]:
    """One that runs inside `with`; `home` is a folder of its own, which goes with it."""
    program = build.program()
    home.mkdir(parents=True)
    log = home.with_name(f"{home.name}.log")
    certificate, other, key = (
        program.with_name(name)
        for name in (
            f"{build.CERTIFICATE}.crt",
            f"{build.OTHER_CERTIFICATE}.crt",
            f"{build.CERTIFICATE}.key",
        )
    )
    user, password = "vmgate@lab.local", "pass-of-the-lab"
    with log.open("wb") as errors:
        child = subprocess.Popen(
            [
                *(str(program), f"-home={home}", f"-cert={certificate}", f"-key={key}"),
                *(f"-user={user}", f"-password={password}"),
                *(shape or Shape()).options(),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    assert child.stdout is not None
    said = child.stdout.readline()
    running = VCenter("", user, password, certificate, other, home, child)
    try:
        if not said:
            raise VCenterError(f"it did not start: {log.read_text(errors='replace')[:1000]}")
        running.url = json.loads(said)["url"]
        yield running
    finally:
        running.stop()
        shutil.rmtree(home, ignore_errors=True)
