"""Nobody is spoken to whose certificate is not the configured one: on loopback neither, and on
the second connection as on the first.

pyvmomi trusts anybody on loopback unless it is given a context, and compares a pinned
certificate on the first connection only; so both are done here.
"""

import hashlib
import hmac
import ssl
from functools import partial
from http.client import HTTPSConnection
from typing import Any

from drivers.esxi.options import EsxiOptions


class NoConnection(OSError):
    """There was no connection to speak on: nothing was asked."""


class VerifiedConnection(HTTPSConnection):
    """Connects to the holder of the right certificate only; raises NoConnection."""

    def __init__(self, *given: Any, pinned: str, **named: Any) -> None:
        super().__init__(*given, **named)
        self._pinned = pinned

    def connect(self) -> None:
        """Connect and compare."""
        try:
            super().connect()
            self._compare()
        except OSError as failed:
            self.close()
            raise NoConnection(_words(failed)) from failed

    def _compare(self) -> None:
        if not self._pinned:
            return
        shown = self.sock.getpeercert(binary_form=True)
        if not hmac.compare_digest(hashlib.sha256(shown or b"").hexdigest(), self._pinned):
            raise ssl.SSLCertVerificationError("its certificate is not the pinned one")


def context_of(options: EsxiOptions) -> ssl.SSLContext:
    """Trusts the file's or the system's authorities; with a pin alone, the pin decides."""
    context = ssl.create_default_context(cafile=options.ca_file or None)
    if options.thumbprint and not options.ca_file:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def scheme_of(options: EsxiOptions) -> Any:
    """What opens the connections of a stub."""
    pinned = options.thumbprint.replace(":", "").lower()
    return partial(VerifiedConnection, pinned=pinned)


def _words(failed: OSError) -> str:
    if isinstance(failed, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {getattr(failed, 'verify_message', failed.args[-1])}"
    return str(failed.strerror or failed) or type(failed).__name__
