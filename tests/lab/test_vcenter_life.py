"""The rig's vCenter is built once, and nothing of it outlives whoever started it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.administrator import until
from tests.lab.vcenter import Shape, VCenterError, missing, vcenter
from tests.lab.vsphere import build

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

MAKER = """
import sys
from pathlib import Path
from tests.lab.vcenter import vcenter
with vcenter(Path(sys.argv[1])) as vc:
    if sys.argv[2] == "frozen":
        vc.freeze()
    print(vc.pid, flush=True)
    sys.stdin.read()
"""


def runs(pid: int) -> bool:
    """Is it there, and no zombie that nobody has buried yet?"""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@contextmanager
def maker(home: Path, how: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A test run of its own that has made a vCenter; and that one's process."""
    child = subprocess.Popen(
        [sys.executable, "-c", MAKER, str(home), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    pid = int(child.stdout.readline())
    try:
        yield child, pid
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("how", ["running", "frozen"])
def test_it_ends_when_its_maker_is_killed(tmp_path: Path, how: str) -> None:
    home = tmp_path / "vcenter"
    with maker(home, how) as (child, pid):
        assert runs(pid)
        assert home.is_dir()
        child.kill()
        until(lambda: not runs(pid))
        until(lambda: not home.exists())


def test_it_ends_with_its_block_however_it_is(tmp_path: Path) -> None:
    for name, how in (("left", None), ("frozen", signal.SIGSTOP), ("killed", signal.SIGKILL)):
        with vcenter(tmp_path / name) as vc:
            match how:
                case signal.SIGSTOP:
                    vc.freeze()
                case signal.SIGKILL:
                    vc.kill()
                case _:
                    pass
        assert not runs(vc.pid)
        assert not (tmp_path / name).exists()


def test_many_at_once_each_with_a_port_of_its_own(tmp_path: Path) -> None:
    tiny = Shape(clusters=1, hosts=1, vms=0)
    with vcenter(tmp_path / "one", tiny) as one, vcenter(tmp_path / "two", tiny) as two:
        assert one.port != two.port
        assert one.named("HostSystem").keys() == two.named("HostSystem").keys() == {"esxi-1-1"}


def test_one_that_cannot_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(VCenterError, match="invalid value"),
        vcenter(tmp_path / "vcenter", Shape(hosts="many")),  # type: ignore[arg-type]
    ):
        pass
    assert not (tmp_path / "vcenter").exists()


def test_two_workers_build_one_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Path] = []
    both = threading.Barrier(2)

    def slow(_: Path, target: Path) -> None:
        built.append(target)
        target.touch()

    def worker() -> None:
        both.wait()
        found.append(build.program())

    found: list[Path] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "_build", slow)
    workers = [threading.Thread(target=worker) for _ in range(2)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert found == built * 2
    assert found[0].parent == build.cache()
    assert sorted(os.listdir(build.cache())) == sorted(
        [found[0].name, "lock", "other.crt", "other.key", "tls.crt", "tls.key"]
    )


def test_a_change_of_the_source_makes_another_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for path in build.SOURCE.glob("*.go"):
        (source / path.name).write_bytes(path.read_bytes())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "_build", lambda _, target: target.touch())
    first = build.program()
    monkeypatch.setattr(build, "SOURCE", source)
    assert build.program() == first
    unused = first.with_name("vsphere-old")
    unused.touch()
    os.utime(unused, (0, 0))
    with (source / "main.go").open("a") as file:
        file.write("// changed\n")
    second = build.program()
    assert second != first
    assert set(build.cache().glob("vsphere-*")) == {first, second}


def test_what_is_missing_is_said_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "GO", tmp_path / "go")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert missing() == "the vSphere API server is built from Debian's packages golang-go"
    with pytest.raises(build.BuildError, match="golang-go"):
        build.program()
