"""One connection to one host's libvirtd: opened when needed, told dead by keepalive, opened anew.

Everything here blocks and runs in a lane's thread; callbacks come in libvirt's own thread.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import libvirt

from drivers.faults import Unreachable
from drivers.kvm.events import ensure_loop
from drivers.kvm.options import KvmOptions

Heard = Callable[[str, int, int], None]
"""Called with a VM's uuid, the lifecycle event and its detail."""


class Connection:
    """To the host called `name` at a libvirt address. `heard` None: no events are wanted."""

    def __init__(
        self,
        name: str,
        address: str,
        options: KvmOptions,
        heard: Heard | None,
        lost: Callable[[], None],
    ) -> None:
        self._name = name
        self._address = address
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
        found = libvirt.open(self._address)
        self._open = found  # so that a failure below drops it
        found.setKeepAlive(self._options.keepalive_s, self._options.keepalive_count)
        if self._heard is not None:
            found.registerCloseCallback(self._on_close, None)
            found.domainEventRegisterAny(
                None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_event, None
            )
        return found

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
