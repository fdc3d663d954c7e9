"""The options of a vCenter, each with its unit and default, and where its password comes from."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.addresses import AddressError
from drivers.esxi.address import parse as parse_address
from drivers.esxi.address import read_server
from drivers.options import read_options

FINGERPRINT_DIGITS = 64


@dataclass(frozen=True, slots=True)
class EsxiOptions:
    """Times in seconds. `server` is the vCenter, as host or host:port.

    Its certificate must come from `ca_file` (empty: the system's authorities), or be the one
    whose SHA-256 is `thumbprint`. One of `password_env` and `password_file` names the password.
    VMs are made in `folder` of the `datacenter`'s VM folder (empty: the VM folder itself), and in
    `resource_pool` below the root pool of each host's cluster (empty: the root pool itself); both
    are paths, such as tenants/web.
    `api_version`, such as 7.0, is chosen from what the server offers when empty. A call may take
    `call_timeout_s`, a survey `survey_timeout_s`, a task of the vCenter `task_timeout_s`, a move
    `relocation_timeout_s`. The vCenter reports ends of tasks; each `poll_s` they are asked for.
    With `local_addresses` a host may be called by an address of this machine, such as localhost.
    """

    server: str = ""
    user: str = ""
    password_env: str = ""
    password_file: str = ""
    ca_file: str = ""
    thumbprint: str = ""
    datacenter: str = ""
    folder: str = ""
    resource_pool: str = ""
    api_version: str = ""
    threads: int = 16
    page: int = 500
    call_timeout_s: float = 30.0
    survey_timeout_s: float = 60.0
    task_timeout_s: float = 1800.0
    relocation_timeout_s: float = 3600.0
    poll_s: float = 10.0
    watch_s: int = 20
    reserved_mib: int = 1024
    local_addresses: bool = False

    @property
    def host(self) -> str:
        """The vCenter without its port."""
        return read_server(self.server)[0]

    @property
    def port(self) -> int:
        """The vCenter's port."""
        return read_server(self.server)[1]

    def require_allowed(self, address: str) -> None:
        """Refuse a host's address that may not be used; raises AddressError."""
        parse_address(address, self.server, local=self.local_addresses)

    def password(self) -> str:
        """The secret as it is now, so that it may be changed while we run; ValueError if none."""
        if self.password_env:
            found = os.environ.get(self.password_env)
            if not found:
                raise ValueError(f"password_env: the variable {self.password_env} is not set")
            return found
        try:
            return Path(self.password_file).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as unread:
            raise ValueError(f"password_file: {unread.strerror}") from unread


def parse(options: Mapping[str, Any]) -> EsxiOptions:
    """Options from a configuration table; raises ValueError that names the wrong one."""
    found = read_options(EsxiOptions, options)
    for name in ("server", "user", "datacenter"):
        if not getattr(found, name):
            raise ValueError(f"{name} is needed")
    try:
        read_server(found.server)
    except AddressError as wrong:
        raise ValueError(f"server is HOST or HOST:PORT: {wrong}") from wrong
    if bool(found.password_env) == bool(found.password_file):
        raise ValueError("one of password_env and password_file is needed")
    digits = found.thumbprint.replace(":", "")
    if digits and (len(digits) != FINGERPRINT_DIGITS or not _is_hexadecimal(digits)):
        raise ValueError("thumbprint is a SHA-256: 64 hexadecimal digits")
    if found.ca_file and not Path(found.ca_file).is_file():
        raise ValueError("ca_file: there is no such file")
    for name in ("threads", "page", "watch_s", "call_timeout_s", "survey_timeout_s", "poll_s"):
        if not getattr(found, name):
            raise ValueError(f"{name} must be more than 0")
    found.password()
    return found


def _is_hexadecimal(digits: str) -> bool:
    return all(each in "0123456789abcdefABCDEF" for each in digits)
