"""N real hosts: each a libvirtd of its own in namespaces of its own, at 127.0.77.N.

Every host has its own mounts, host name, processes and libvirt state; all share the network and
the folder of shared storage. Only root, util-linux, libvirt and QEMU are needed, no systemd.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from gateway.store.db.embedded_server import lock_holder, sign_lock
from tests.lab import guest

BINDS = {
    "etc": "/etc/libvirt",
    "lib": "/var/lib/libvirt",
    "run": "/run/libvirt",
    "log": "/var/log/libvirt",
    "cache": "/var/cache/libvirt",
}
DAEMON = ("libvirtd", "--daemon", "--listen", "--timeout", "0", "--pid-file")
PID_FILE = "/run/libvirt/libvirtd.pid"
TEMPLATE = "guest.raw"
BRIDGE = "vmgate-lab"
BRIDGE_ADDRESS = "192.0.2.1/32"
SHARED, LOCAL = "shared", "local"
UP_WITHIN_S = 60.0
ALONE_WITHIN_S = 300.0
# Where libvirt's daemons of one driver each are installed too, virsh would look for these.
LOCAL_URI = "qemu:///system?mode=legacy"
LOCK = Path("/tmp/vmgate-lab.lock")
_LOOK_EACH_S = 0.02


class LabError(Exception):
    """The rig cannot do it, in one sentence."""


def missing() -> str:
    """Why this computer cannot run the rig; empty when it can."""
    if not sys.platform.startswith("linux"):
        return "real libvirt/QEMU hosts need Linux"
    if os.geteuid() != 0:
        return "real libvirt/QEMU hosts need root"
    tools = ("libvirtd", "virsh", "qemu-system-x86_64", "qemu-img", "unshare", "nsenter", "ip")
    absent = [tool for tool in tools if shutil.which(tool) is None]
    if absent:
        return f"real libvirt/QEMU hosts need {', '.join(absent)}"
    try:
        import libvirt  # noqa: F401
    except ImportError:
        return "real libvirt/QEMU hosts need libvirt-python (the extra vmgate[kvm])"
    return ""


@dataclass(slots=True)
class LabHost:
    """One host; `number` from 1 says its name, address and ports."""

    number: int
    home: Path
    shared: Path
    _unshare: subprocess.Popen[bytes] | None = field(default=None)
    _answer: str = field(default="")

    @property
    def name(self) -> str:
        """As the gateway calls it."""
        return f"lab-{self.number}"

    @property
    def ip(self) -> str:
        """Its loopback address."""
        return f"127.0.77.{self.number}"

    @property
    def address(self) -> str:
        """Its libvirt address, for us and for other hosts alike."""
        return f"qemu+tcp://{self.ip}/system"

    def boot(self) -> None:
        """Start it and wait until it answers."""
        for folder in ("run", "log"):
            shutil.rmtree(self.home / folder, ignore_errors=True)
        for folder in BINDS:
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        (self.home / "lib" / "images").mkdir(exist_ok=True)
        (self.home / "etc" / "libvirtd.conf").write_text(self._libvirtd_conf())
        (self.home / "etc" / "qemu.conf").write_text(self._qemu_conf())
        with (self.home / "log" / "init.log").open("ab") as log:
            self._unshare = subprocess.Popen(
                [
                    *["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc"],
                    *["--propagation", "private", "--kill-child=SIGKILL"],
                    *(sys.executable, "-m", "tests.lab.init", self.name, str(self.home)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=Path(__file__).parents[2],
            )
        self._wait()

    def power_loss(self) -> None:
        """The host and all its guests are gone at once; its disks stay."""
        if self._unshare is None:
            return
        first = self._children()
        for each in first:
            os.kill(each, signal.SIGKILL)
        if not first:
            self._unshare.kill()
        # It waits for the host's first process, which ends after all others of the host.
        self._unshare.wait(UP_WITHIN_S)
        self._unshare = None

    def kill_daemon(self) -> None:
        """kill -9 of its libvirtd; guests go on."""
        self._signal_daemon("KILL")

    def freeze_daemon(self) -> None:
        """Its libvirtd says nothing any more."""
        self._signal_daemon("STOP")

    def thaw_daemon(self) -> None:
        """Its libvirtd goes on."""
        self._signal_daemon("CONT")

    def start_daemon(self) -> None:
        """Start a libvirtd that was killed, and wait until it answers."""
        self.inside(*DAEMON, PID_FILE)
        self._wait()

    def inside(self, *command: str) -> str:
        """Run a command on the host; its output."""
        child = self._children()
        if not child:
            raise LabError(f"{self.name} is not running")
        done = subprocess.run(
            ["nsenter", "-t", str(child[0]), "-m", "-u", "-i", "-p", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        self._answer = done.stderr.strip()
        return done.stdout

    def virsh(self, *command: str) -> str:
        """Run virsh on the host, as an administrator there would."""
        return self.inside("virsh", "-c", LOCAL_URI, *command)

    def _signal_daemon(self, name: str) -> None:
        self.inside("sh", "-c", f"kill -{name} $(cat {PID_FILE})")

    def _children(self) -> list[int]:
        if self._unshare is None or self._unshare.poll() is not None:
            return []
        pid = self._unshare.pid
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def _wait(self) -> None:
        """A socket is there before its drivers are: only a real answer counts."""
        end_s = time.monotonic() + UP_WITHIN_S
        answer = ""
        while time.monotonic() < end_s:
            if self._unshare is None or self._unshare.poll() is not None:
                break
            asked = ["virsh", "-c", self.address, "pool-list"]
            done = subprocess.run(asked, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return
            answer = done.stderr.strip()
            time.sleep(_LOOK_EACH_S)
        said = [answer, self._last_of("init.log"), self._last_of("libvirtd.log")]
        raise LabError(f"{self.name} did not come up:\n" + "\n".join(filter(None, said)))

    def _last_of(self, log: str) -> str:
        path = self.home / "log" / log
        return path.read_text(errors="replace")[-1000:].strip() if path.exists() else ""

    def make_pools(self) -> None:
        """Its datastores: the shared folder, and one of its own, each with the template."""
        images = Path("/var/lib/libvirt/images")
        guest.write(self.home / "lib" / "images" / TEMPLATE)
        for name, path in ((SHARED, self.shared), (LOCAL, images)):
            self.virsh("pool-define-as", name, "dir", "--target", str(path))
            self.virsh("pool-start", name)
            self.virsh("pool-autostart", name)
            if "running" not in self.virsh("pool-info", name):
                raise LabError(f"{self.name} has no storage pool {name}: {self._answer}")

    def _libvirtd_conf(self) -> str:
        host_uuid = uuid.uuid5(uuid.NAMESPACE_URL, f"{self.home}/{self.name}")
        return (
            f'host_uuid = "{host_uuid}"\nlisten_addr = "{self.ip}"\n'
            'listen_tls = 0\nlisten_tcp = 1\ntcp_port = "16509"\nauth_tcp = "none"\n'
            'auth_unix_ro = "none"\nauth_unix_rw = "none"\nmax_clients = 1000\n'
            "max_client_requests = 20\nmax_workers = 32\nkeepalive_interval = 2\n"
            "keepalive_count = 3\nlog_level = 3\n"
            'log_outputs = "3:file:/var/log/libvirt/libvirtd.log"\n'
        )

    def _qemu_conf(self) -> str:
        first = 49152 + 64 * (self.number - 1)
        return (
            'security_driver = "none"\nuser = "root"\ngroup = "root"\ndynamic_ownership = 0\n'
            'remember_owner = 0\nnamespaces = []\nstdio_handler = "file"\n'
            f'cgroup_controllers = []\nmigration_address = "{self.ip}"\n'
            f'migration_host = "{self.ip}"\nmigration_port_min = {first}\n'
            f"migration_port_max = {first + 63}\n"
        )


class Lab:
    """`count` hosts under `home`; up inside `with`, and down again afterwards."""

    def __init__(self, home: Path, count: int) -> None:
        self.home = home
        self.shared = home / "shared"
        self._own: IO[str] | None = None
        self.hosts = [
            LabHost(number, home / f"lab-{number}", self.shared) for number in range(1, count + 1)
        ]

    def __enter__(self) -> "Lab":
        reason = missing()
        if reason:
            raise LabError(reason)
        self._own = _alone()
        _make_user()
        self.shared.mkdir(parents=True, exist_ok=True)
        (self.shared / "serial").mkdir(exist_ok=True)
        guest.write(self.shared / TEMPLATE)
        for folder in BINDS.values():
            Path(folder).mkdir(parents=True, exist_ok=True)
        _make_bridge()
        try:
            for host in self.hosts:
                host.boot()
                host.make_pools()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for host in self.hosts:
            host.power_loss()
        if self._own is not None:
            self._own.close()
            self._own = None

    def serial(self, vm: str) -> str:
        """What a VM said on its serial port, on whichever host."""
        path = self.shared / "serial" / f"{vm}.log"
        return path.read_text(errors="replace") if path.exists() else ""


def _alone() -> IO[str]:
    """All rigs of one computer share their addresses: one at a time; the kernel frees the lock."""
    lock = LOCK.open("a+")
    end_s = time.monotonic() + ALONE_WITHIN_S
    said = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = lock_holder(lock)
            if time.monotonic() > end_s:
                lock.close()
                raise LabError(f"{holder} has such hosts up on this computer") from None
            if not said:
                said = True
                print(
                    f"waiting for {holder}, which has such hosts up on this computer:"
                    f" at most {ALONE_WITHIN_S:.0f} s",
                    file=sys.stderr,
                )
            time.sleep(_LOOK_EACH_S)
        else:
            sign_lock(lock)
            _sweep()
            return lock


def _sweep() -> None:
    """End hosts whose owner was killed: they would answer in place of ours. Who holds the lock is
    the only one who may have any."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"tests.lab.init" in words and words[0].endswith(b"python"):
                os.kill(int(entry.name), signal.SIGKILL)


def _make_user() -> None:
    """libvirtd wants QEMU's usual user to exist, although our hosts run it as root."""
    for table, command in (
        ("group", "groupadd -r libvirt-qemu"),
        ("passwd", "useradd -r -M -s /usr/sbin/nologin -g libvirt-qemu libvirt-qemu"),
    ):
        asked = subprocess.run(["getent", table, "libvirt-qemu"], capture_output=True, check=False)
        if asked.returncode:
            subprocess.run(command.split(), check=True)


def _make_bridge() -> None:
    """One bridge for all hosts' guests; it leads nowhere."""
    if not Path(f"/sys/class/net/{BRIDGE}").exists():
        subprocess.run(["ip", "link", "add", BRIDGE, "type", "bridge"], check=True)
        # libvirtd listens nowhere on a computer that has no address but loopback ones.
        subprocess.run(["ip", "address", "add", BRIDGE_ADDRESS, "dev", BRIDGE], check=True)
    subprocess.run(["ip", "link", "set", BRIDGE, "up"], check=True)
