"""As much of Entra ID as a client needs that asks for a token with a secret or an assertion."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from aiohttp import web

from tests.lab.azure.replies import arm_fault, new_id


@dataclass(slots=True)
class Entra:
    """One tenant, one client. `strict`: only tokens given here are good."""

    strict: bool = False
    tenant: str = field(default_factory=new_id)
    client_id: str = field(default_factory=new_id)
    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    assertion: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    lifetime_s: int = 3600
    given: set[str] = field(default_factory=set)

    def revoke(self) -> None:
        """No token given so far is good any more."""
        self.given.clear()

    def token(self, text: str) -> web.Response:
        """A token for the client's secret or assertion, else the refusal."""
        asked = {name: values[0] for name, values in parse_qs(text).items()}
        proven = asked.get("client_secret") == self.client_secret
        proven |= asked.get("client_assertion") == self.assertion
        if asked.get("client_id") != self.client_id or not proven:
            body = {"error": "invalid_client", "error_description": "AADSTS7000215: invalid."}
            return web.json_response(body, status=401)
        token = secrets.token_urlsafe(32)
        self.given.add(token)
        body = {"token_type": "Bearer", "expires_in": self.lifetime_s, "access_token": token}
        return web.json_response(body)

    def check(self, headers: Mapping[str, str]) -> None:
        """Passes with a good token; ARM's 401 else."""
        kind, _, token = headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or not token or (self.strict and token not in self.given):
            refused = arm_fault(401, "InvalidAuthenticationToken", "The access token is invalid.")
            refused.reply.headers["WWW-Authenticate"] = "Bearer"
            raise refused
