"""The command line: `vmgate serve | migrate | check-config | demo | why | place | ...`."""

import asyncio
import os
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import cyclopts
from cyclopts import Parameter

from gateway.cli import capacity, drivers, offline, rulesets
from gateway.cli.demo import demo
from gateway.cli.why import why
from gateway.config import ConfigError, read_config
from gateway.config.examples import example, usual
from gateway.config.reading import secret
from gateway.service.gc_tuning import collect_seldom
from gateway.service.logs import configure_logs
from gateway.service.serve import Role, migrate_store, serve, store_settings
from gateway.store.db.pool import StoreError
from scheduler.model.fit_policy import FitPolicy

app = cyclopts.App(name="vmgate", help=__doc__, version_flags=[])
app.command(rulesets.rules)
app.command(rulesets.cluster)
app.command(drivers.driver)
File = Annotated[
    Path | None,
    Parameter(
        name=["--config", "-c"],
        help="The configuration; else configs/production.toml or /etc/vmgate/vmgate.toml.",
    ),
]
ClusterFile = Annotated[Path, Parameter(name=["--cluster"])]


@app.command(name="serve")
def _serve(*, config: File = None, role: Role = Role.ALL) -> int:
    """Serve the API, carry out its tasks, or both."""
    settings = read_config(config or usual(), os.environ)
    configure_logs(settings.log.level)
    return _run(serve(settings, role, os.environ, ready=collect_seldom))


@app.command(name="migrate")
def _migrate(*, config: File = None) -> int:
    """Bring the database's schema up to this version."""
    settings = read_config(config or usual(), os.environ)
    configure_logs(settings.log.level)

    async def migrated() -> None:
        for name in await migrate_store(settings, os.environ):
            print(f"applied {name}")

    return _run(migrated())


@app.command(name="check-config")
def _check_config(*, config: File = None) -> int:
    """Read a configuration and its secrets, and say what is wrong with them."""
    settings = read_config(config or usual(), os.environ)
    store_settings(settings, os.environ)
    for user in settings.users:
        secret(f"the password of {user.login}", user.password_env, user.password_file, os.environ)
    print(f"{config or usual()}: fine")
    return 0


@app.command(name="demo")
def _demo(
    *, config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None, keep: bool = True
) -> int:
    """Serve a demonstration datacenter, act out the main job over HTTP, and keep serving.

    Without --config it is the demonstration that comes with vmgate; its database lies in var/demo.
    """
    return _run(demo(config or example("demo"), keep=keep))


@app.command(name="example-config")
def _example_config(name: Literal["production", "demo"] = "production") -> int:
    """Print a configuration to begin with: production shows every key."""
    print(example(name).read_text(encoding="utf-8"), end="")
    return 0


@app.command(name="place")
def _place(
    *,
    cluster: ClusterFile,
    size: offline.FileSize,
    wish: offline.OfflineRequest = offline.NO_WISH,
    policy: FitPolicy | None = None,
    told: offline.OfflineAnswer = offline.PLAINLY,
) -> int:
    """Say where a VM would go in a cluster's file: exit 0 placed, 1 refused, 2 wrong input."""
    return offline.place(cluster, size, wish, policy, told)


@app.command(name="why")
def _why(about: str) -> int:
    """Say why a virtual machine is where it is, or why nothing took it.

    ABOUT is the id, uuid, name or label of a VM, or the id of a task or a decision. The service is
    at VMGATE_URL; credentials: VMGATE_USER (default admin) and VMGATE_PASSWORD.
    """
    return _run(why(about, os.environ))


@app.command(name="capacity")
def _capacity(
    *,
    cluster: ClusterFile,
    asked: capacity.CapacityRequest = capacity.NOTHING,
    wish: offline.OfflineRequest = offline.NO_WISH,
) -> int:
    """Say what still fits into a cluster's file: the biggest VM, and how many of a size."""
    return capacity.capacity(cluster, asked, wish)


@drivers.driver.command(name="check")
def _driver_check(name: str, *, config: File = None) -> int:
    """Say what works at the hosts of the block hypervisor.NAME: exit 0 all, 1 not all."""
    return _run(drivers.check(read_config(config or usual(), os.environ), name))


def _run(running: Coroutine[Any, Any, int | None]) -> int:
    """On uvloop where there is one; the exit status."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(running) or 0
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(running) or 0


def main(words: Sequence[str] | None = None) -> None:
    """The entry point; what an administrator can mend is one line and the status 2."""
    try:
        sys.exit(app(sys.argv[1:] if words is None else words))
    except* (ConfigError, StoreError, OSError) as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        print(f"vmgate: {first}", file=sys.stderr)
        sys.exit(2)
