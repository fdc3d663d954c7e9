"""One session with the vCenter: opened when needed, opened anew once when it has expired.

Everything here blocks and runs in a thread of a lane, or in the watch's own. A session that the
vCenter has forgotten refuses a call before anything is done, so the call may be made again.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, TypeVar

from pyVmomi import SoapStubAdapter, vim, vmodl

from drivers.esxi.connection.tls import context_of, scheme_of
from drivers.esxi.connection.versions import negotiate
from drivers.esxi.faults import fault_of
from drivers.esxi.options import EsxiOptions
from drivers.faults import Unreachable

T = TypeVar("T")
LOGIN_AGAIN_S = 300.0
IDLE_S = 20
_WEATHER = (OSError, HTTPException, vmodl.MethodFault, ValueError)


@dataclass(frozen=True, slots=True)
class Service:
    """A session that is logged in. Another one after it has expired is another value."""

    stub: Any
    content: Any

    def ref(self, kind: Any, id_: str) -> Any:
        """The vCenter's object of this kind with this id."""
        return kind(id_, self.stub)


class Session:
    """At most one login at a time; each call of a stub waits `timeout_s` for the network."""

    def __init__(self, name: str, options: EsxiOptions, timeout_s: float) -> None:
        self._name = name
        self._options = options
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._service: Service | None = None
        self._version = ""
        self._refused: tuple[str, float] | None = None
        self._closed = False

    def call(self, use: Callable[[Service], T]) -> T:
        """`use` with a session; once more with a new one when the vCenter has forgotten it."""
        service = self._ready(None)
        try:
            return use(service)
        except vim.fault.NotAuthenticated:
            return use(self._ready(service))

    def close(self) -> None:
        """Open no more, and log out: the vCenter has few sessions to give."""
        self._closed = True
        with suppress(Unreachable, *_WEATHER), self._locked():
            service, self._service = self._service, None
            if service is not None:
                with _dropping(service.stub):
                    service.content.sessionManager.Logout()

    def _ready(self, stale: Service | None) -> Service:
        with self._locked():
            if self._closed:
                raise Unreachable(f"{self._name} is closed", host=self._name)
            if self._service is None or self._service is stale:
                if self._service is not None:
                    with _dropping(self._service.stub):
                        self._service = None
                self._service = self._opened()
            return self._service

    def _locked(self) -> "_Bounded":
        return _Bounded(self._lock, self._timeout_s, self._name)

    def _opened(self) -> Service:
        try:
            return self._login()
        except _WEATHER as failed:
            said = fault_of(failed, self._name, changing=False).message
            raise Unreachable(said, host=self._name) from failed

    def _login(self) -> Service:
        password = self._options.password()
        if self._refused is not None and self._refused[0] == password:
            # Accounts are locked after a few wrong passwords; a survey comes each few seconds.
            if time.monotonic() < self._refused[1]:
                raise ValueError("it refused the password; vmgate does not try it again soon")
            self._refused = None
        if not self._version:
            self._version = negotiate(self._options, self._timeout_s)
        stub = SoapStubAdapter(
            host=self._options.host,
            port=self._options.port,
            path="/sdk",
            version=self._version,
            sslContext=context_of(self._options),
            httpConnectionTimeout=self._timeout_s,
            connectionPoolTimeout=IDLE_S,
            poolSize=self._options.threads + 2,
        )
        stub.scheme = scheme_of(self._options)
        try:
            content: Any = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
            content.sessionManager.Login(self._options.user, password)
        except BaseException as failed:
            if isinstance(failed, vim.fault.InvalidLogin):
                self._refused = (password, time.monotonic() + LOGIN_AGAIN_S)
            with _dropping(stub):
                raise
        return Service(stub, content)


@contextmanager
def _dropping(stub: Any) -> Iterator[None]:
    """No connection is kept afterwards: what other threads still use is closed after use."""
    stub.poolSize = 0
    try:
        yield
    finally:
        stub.DropConnections()


class _Bounded:
    """A lock that is waited for no longer than the network would be."""

    def __init__(self, lock: threading.Lock, timeout_s: float, name: str) -> None:
        self._lock = lock
        self._timeout_s = timeout_s
        self._name = name

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=self._timeout_s):
            raise Unreachable(
                "the login timed out while another login was running", host=self._name
            )

    def __exit__(self, *_: object) -> None:
        self._lock.release()
