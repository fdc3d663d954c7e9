"""The options of a subscription, each with its unit and default, and where secrets come from."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.azure.tags import check_tags
from drivers.options import read_options

CREDENTIALS = ("workload", "managed", "secret", "token_file")
_POSITIVE = (
    "concurrent",
    "call_timeout_s",
    "survey_timeout_s",
    "throttled_timeout_s",
    "operation_timeout_s",
    "silence_s",
    "poll_s",
    "polls_per_s",
    "backoff_s",
)


@dataclass(frozen=True, slots=True)
class AzureOptions:
    """Times in seconds.

    VMs are made in `resource_group` of `subscription`, in one of the `sizes`: names apart by
    spaces, the first the dearest to us. `credential` says who we are: `workload` (a federated
    token, as in Kubernetes), `managed` (an identity of the machine), `secret` (`tenant`, `client`
    and one of `client_secret_env` and `client_secret_file`) or `token_file` (a bearer token that
    somebody else keeps fresh). `base_url`, `authority` and `scope` (empty: of `base_url`) differ
    in other clouds. A VM of a generalized image gets `admin_user` with one of `ssh_key_file`,
    `admin_password_env` and `admin_password_file`; with none of them no user is made.
    `tags` are written to each VM, disk and interface that is made, beside our own.

    A call may take `call_timeout_s`; a change that is throttled, or meets another one, is begun
    anew for `throttled_timeout_s`; an operation may take `operation_timeout_s`. It is polled each
    `poll_s`, all of them together `polls_per_s` times a second, and given up once no poll has been
    answered for `silence_s`. Surveys are `survey_each_s` apart; in them the plain listing is read
    each `listing_each_s`, quotas each `quota_each_s` and sizes each `sizes_each_s`. A size that was
    refused for want of room is not asked for again within `no_capacity_s`.
    """

    subscription: str = ""
    resource_group: str = ""
    sizes: str = ""
    credential: str = "workload"
    tenant: str = ""
    client: str = ""
    client_secret_env: str = ""
    client_secret_file: str = ""
    token_file: str = ""
    base_url: str = "https://management.azure.com"
    authority: str = "https://login.microsoftonline.com"
    scope: str = ""
    ca_file: str = ""
    admin_user: str = "vmgate"
    ssh_key_file: str = ""
    admin_password_env: str = ""
    admin_password_file: str = ""
    disk_type: str = "StandardSSD_LRS"
    tags: dict[str, str] = field(default_factory=dict)
    concurrent: int = 32
    call_timeout_s: float = 60.0
    survey_timeout_s: float = 120.0
    survey_each_s: float = 15.0
    listing_each_s: float = 600.0
    quota_each_s: float = 120.0
    sizes_each_s: float = 21600.0
    throttled_timeout_s: float = 600.0
    operation_timeout_s: float = 3600.0
    silence_s: float = 60.0
    poll_s: float = 10.0
    polls_per_s: float = 10.0
    backoff_s: float = 2.0
    no_capacity_s: float = 600.0

    @property
    def scopes(self) -> str:
        """What a token is asked for."""
        return self.scope or f"{self.base_url.rstrip('/')}/.default"

    @property
    def allowed(self) -> tuple[str, ...]:
        """The names of sizes, the dearest first."""
        return tuple(self.sizes.split())

    def client_secret(self) -> str:
        """The secret as it is now; raises ValueError."""
        return secret("client_secret", self.client_secret_env, self.client_secret_file)

    def admin_password(self) -> str:
        """The password of new VMs' user as it is now, empty for none; raises ValueError."""
        if not self.admin_password_env and not self.admin_password_file:
            return ""
        return secret("admin_password", self.admin_password_env, self.admin_password_file)

    def ssh_key(self) -> str:
        """The public key of new VMs' user, empty for none; raises ValueError."""
        return secret("ssh_key", "", self.ssh_key_file) if self.ssh_key_file else ""


def secret(name: str, variable: str, file: str) -> str:
    """What the variable or the file holds now; raises ValueError that names neither's content."""
    if variable:
        found = os.environ.get(variable)
        if not found:
            raise ValueError(f"{name}_env: the variable {variable} is not set")
        return found
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as unread:
        raise ValueError(f"{name}_file: {unread.strerror}") from unread


def parse(options: Mapping[str, Any]) -> AzureOptions:
    """Options from a configuration table; raises ValueError that names the wrong one."""
    found = read_options(AzureOptions, options)
    for name in ("subscription", "resource_group", "sizes"):
        if not getattr(found, name):
            raise ValueError(f"{name} is needed")
    for name in ("base_url", "authority"):
        if not getattr(found, name).startswith("https://"):
            raise ValueError(f"{name} must begin with https://")
    if found.ca_file and not Path(found.ca_file).is_file():
        raise ValueError("ca_file: there is no such file")
    for name in _POSITIVE:
        if not getattr(found, name):
            raise ValueError(f"{name} must be more than 0")
    check_tags(found.tags)
    _check_credential(found)
    ways = (found.ssh_key_file, found.admin_password_env, found.admin_password_file)
    if sum(map(bool, ways)) > 1:
        raise ValueError("only one of ssh_key_file, admin_password_env and admin_password_file")
    found.admin_password()
    found.ssh_key()
    return found


def _check_credential(found: AzureOptions) -> None:
    if found.credential not in CREDENTIALS:
        raise ValueError(f"credential is none of {', '.join(CREDENTIALS)}")
    if found.credential == "token_file" and not Path(found.token_file).is_file():
        raise ValueError("token_file: there is no such file")
    if found.credential == "secret":
        for name in ("tenant", "client"):
            if not getattr(found, name):
                raise ValueError(f"{name} is needed")
        if bool(found.client_secret_env) == bool(found.client_secret_file):
            raise ValueError("one of client_secret_env and client_secret_file is needed")
        found.client_secret()
