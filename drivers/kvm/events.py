"""libvirt's event loop runs in one daemon thread of this process, before the first connection.

Keepalive needs it too: without a turning loop a frozen host is never noticed.
"""

import threading
from typing import Any

import libvirt

_lock = threading.Lock()
_running = False


def ensure_loop() -> None:
    """Start the loop if it does not run yet; it never ends."""
    global _running
    with _lock:
        if _running:
            return
        libvirt.registerErrorHandler(_silent, None)
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=_turn, name="libvirt-events", daemon=True).start()
        _running = True


def _turn() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


def _silent(context: Any, error: Any) -> None:
    """libvirt would print each error to standard error besides raising it."""
