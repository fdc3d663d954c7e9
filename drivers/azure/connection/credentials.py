"""Who we are to Azure: an identity of the workload or the machine, or a secret by reference.

Nothing here prints or keeps a secret: azure-identity holds tokens in memory only.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from azure.core.credentials import AccessToken
from azure.identity.aio import (
    ClientSecretCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

from drivers.azure.options import AzureOptions

TOKEN_S = 60.0
"""For so long a token from a file is used before the file is read again."""


class FileToken:
    """A bearer token that somebody else keeps fresh in a file."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """The token as it is now; raises OSError."""
        text = self._path.read_text(encoding="utf-8").strip()
        return AccessToken(text, int(time.time() + TOKEN_S))

    async def close(self) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> "FileToken":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class Renewable:
    """A credential that can be made to forget the token it has kept, as when Azure refuses it."""

    def __init__(self, made: Callable[[], Any]) -> None:
        self._made = made
        self._inner: Any = None

    async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """As the credential that was made, which is made when it is needed."""
        if self._inner is None:
            self._inner = self._made()
        return await self._inner.get_token(*scopes, **kwargs)

    async def forget(self) -> None:
        """The next token is a new one."""
        await self.close()

    async def close(self) -> None:
        """Close the credential."""
        inner, self._inner = self._inner, None
        if inner is not None:
            await inner.close()

    async def __aenter__(self) -> "Renewable":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def credential_of(options: AzureOptions) -> Any:
    """What the options name; made in the loop that will use it. Retries are ours, as everywhere."""
    told: dict[str, Any] = {"authority": options.authority, "retry_total": 0}
    if options.ca_file:
        told["connection_verify"] = options.ca_file
    named = {"client_id": options.client} if options.client else {}
    match options.credential:
        case "managed":
            return ManagedIdentityCredential(**named, retry_total=0)
        case "secret":
            return ClientSecretCredential(
                options.tenant, options.client, options.client_secret(), **told
            )
        case "token_file":
            return FileToken(options.token_file)
        case _:
            tenant = {"tenant_id": options.tenant} if options.tenant else {}
            return WorkloadIdentityCredential(**named, **tenant, **told)
