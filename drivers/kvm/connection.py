"""One connection to one host's libvirtd: opened when needed, told dead by keepalive, opened anew.

Everything here blocks and runs in a lane's thread; callbacks come in libvirt's own thread.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import libvirt

from drivers.addresses import Address, AddressError, require_remote
from drivers.faults import Unreachable
from drivers.kvm.events import ensure_loop
from drivers.kvm.options import KvmOptions

Heard = Callable[[str, int, int], None]
"""Called with a VM's uuid, the lifecycle event and its detail."""


class LibvirtConnection:
    """To the host called `name` at an address that was read. `heard` None: no events are wanted."""

    def __init__(
        self,
        name: str,
        at: Address,
        options: KvmOptions,
        heard: Heard | None,
        lost: Callable[[], None],
    ) -> None:
        self._name = name
        self._at = at
        self._options = options
        self._heard = heard
        self._lost = lost
        self._lock = threading.Lock()
        self._open: Any = None
        self._closed = False

    def get(self) -> Any:
        """The live connection; one open at a time. Raises Unreachable."""
        with self._lock:
            if self._closed:
                raise Unreachable(f"{self._name} is not known any more", host=self._name)
            if self._open is not None and self._open.isAlive():
                return self._open
            self._drop()
            try:
                self._open = self._connect()
            except AddressError as refused:
                raise Unreachable(f"{self._name}: {refused}", host=self._name) from refused
            except libvirt.libvirtError as error:
                self._drop()
                said = str(error.get_error_message() or error).strip()
                raise Unreachable(f"{self._name} does not answer: {said}", host=self._name) from (
                    error
                )
            return self._open

    def close(self) -> None:
        """Open no more."""
        with self._lock:
            self._closed = True
            self._drop()

    def _connect(self) -> Any:
        ensure_loop()
        self._require_allowed()
        found = libvirt.open(self._at.text)
        self._open = found  # so that a failure below drops it
        found.setKeepAlive(self._options.keepalive_s, self._options.keepalive_count)
        if self._heard is not None:
            found.registerCloseCallback(self._on_close, None)
            found.domainEventRegisterAny(
                None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_event, None
            )
        return found

    def _require_allowed(self) -> None:
        """A name must not lead to this machine. libvirt resolves it again: who owns the name's zone
        can change the answer in between."""
        if self._options.local_addresses or not self._at.host:
            return
        with suppress(OSError):  # a name that does not resolve is libvirt's to tell
            found = socket.getaddrinfo(self._at.host, None, type=socket.SOCK_STREAM)
            require_remote(str(each[4][0]) for each in found)

    def _drop(self) -> None:
        gone, self._open = self._open, None
        if gone is None:
            return
        with suppress(libvirt.libvirtError):
            gone.close()

    def _on_event(self, connection: Any, domain: Any, event: int, detail: int, _: Any) -> None:
        if self._heard is not None:
            self._heard(domain.UUIDString(), event, detail)

    def _on_close(self, connection: Any, reason: int, _: Any) -> None:
        self._lost()
