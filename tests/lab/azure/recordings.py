"""Azure's traffic as Microsoft recorded it for tests of old SDKs; fetched once, kept in the cache.

The recordings are in the source packages of azure-mgmt-compute (MIT), which pip fetches by name
and version and checks by hash. They are of 2020 and 2021 and never come into this repository.
"""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.lab.azure.replies import Body

_PACKAGE = "azure-mgmt-compute"
_HASHES = {
    "20.0.0": "7920bea2e11d78fa616992813aea470a8fb50eab2e646e032e138f93d53b70e8",
    "12.1.0": "54416e6fa4584bb986e8985f510486a36b4fdf47af012a4982a0960c7b11e89c",
}
ARM = "https://management.azure.com"
# What the project calls them: the package's version and the file's name in tests/recordings.
LIFE_CYCLE = ("20.0.0", "test_mgmt_compute_base_async.test_compute_vm")
CONFLICTS = ("20.0.0", "test_mgmt_compute_vm.test_compute_vm_2")
DEDICATED_HOSTS = ("20.0.0", "test_mgmt_compute_dedicated_hosts.test_dedicated_hosts")
NO_SUCH_GROUP = ("12.1.0", "test_mgmt_managed_disks.test_list_disks_fake")
SKUS = ("12.1.0", "test_mgmt_compute.test_resources_skus")
USAGES = ("12.1.0", "test_mgmt_compute.test_usage")
_FETCH_S = 300


class RecordingError(Exception):
    """The recordings cannot be had, in one sentence."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its reply; header names are in lower case, `query` has no api-version."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    version: str
    sent: str
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def key(self) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        """What tells it from other requests: ARM's paths do not care for case."""
        return self.method, self.path.lower(), self.query

    @property
    def body(self) -> Body:
        """The reply's JSON; {} without any."""
        found: Body = json.loads(self.text) if self.text else {}
        return found


def words_of(query: str) -> tuple[tuple[str, str], ...]:
    """A query's words, sorted, without the API's version."""
    words = parse_qsl(query, keep_blank_values=True)
    return tuple(sorted(word for word in words if word[0] != "api-version"))


def folder() -> Path:
    """Where the packages are kept."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "vmgate" / "azure"


def fetch(version: str) -> Path:
    """The package's file, fetched if need be; RecordingError."""
    kept = folder() / f"{_PACKAGE}-{version}.zip"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with (kept.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            _download(version, kept.parent)
    if hashlib.sha256(kept.read_bytes()).hexdigest() != _HASHES[version]:
        raise RecordingError(f"{kept} is not the package of that name")
    return kept


def _download(version: str, where: Path) -> None:
    """pip builds the package's metadata before it lets go of the file; nothing is installed."""
    wanted = where / f"{version}.txt"
    wanted.write_text(f"{_PACKAGE}=={version} --hash=sha256:{_HASHES[version]}\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--no-binary", _PACKAGE, "--require-hashes"),
            *("--requirement", str(wanted), "--dest", str(where)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_FETCH_S,
    )
    if done.returncode:
        why = (done.stderr.strip() or "pip failed").splitlines()[-1]
        raise RecordingError(f"recorded Azure traffic ({_PACKAGE} {version}) needs pip: {why}")


@cache
def exchanges(version: str, name: str) -> tuple[Exchange, ...]:
    """All of a recording, in its order; RecordingError."""
    try:
        import yaml
    except ImportError:
        raise RecordingError("recorded Azure traffic needs PyYAML") from None
    with zipfile.ZipFile(fetch(version)) as package:
        text = package.read(f"{_PACKAGE}-{version}/tests/recordings/{name}.yaml")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return tuple(_exchange(each) for each in yaml.load(text, Loader=loader)["interactions"])


def _exchange(recorded: dict[str, Any]) -> Exchange:
    request, reply = recorded["request"], recorded["response"]
    url = urlsplit(request["uri"])
    headers = {
        name.lower(): str(value[0] if isinstance(value, list) else value)
        for name, value in reply["headers"].items()
    }
    query = dict(parse_qsl(url.query))
    return Exchange(
        request["method"],
        url.path,
        words_of(url.query),
        query.get("api-version", ""),
        _text(request["body"]),
        reply["status"]["code"],
        headers,
        _text(reply["body"]["string"]),
    )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")


def main() -> int:
    """Fetches all packages, or says what is missing."""
    try:
        for version in _HASHES:
            fetch(version)
    except RecordingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
