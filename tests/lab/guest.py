"""The tiny guest: one boot sector that says READY on its serial port and answers the power button.

What it does, in 16-bit code at 0x7C00: write the first text to COM1 (0x3F8); set the enable bit of
the power button in the ACPI register block that SeaBIOS puts at 0x600 (PM1 enable, 0x602, bit 8);
halt until an interrupt and look at PM1 status (0x600, bit 8); once pressed, write the second
text and ask for S5 by setting SLP_EN in PM1 control (0x604). It halts between, so it costs nothing.
"""

from pathlib import Path

READY = "VMGATE GUEST READY"
GOODBYE = "VMGATE GUEST OFF"
SIZE_BYTES = 2**20
_COM1, _STATUS, _ENABLE, _CONTROL = 0x3F8, 0x600, 0x602, 0x604
_BUTTON, _SLEEP_ENABLE, _SLEEP_TYPE_3 = 0x0100, 0x2000, 0x0400
_ORIGIN = 0x7C00


def _word(value: int) -> bytes:
    return value.to_bytes(2, "little")


def _out(port: int, value: int) -> bytes:
    """mov dx, port; mov ax, value; out dx, ax"""
    return b"\xba" + _word(port) + b"\xb8" + _word(value) + b"\xef"


def _say(address: int) -> bytes:
    """mov si, address; then each byte to COM1 until a zero."""
    send = b"\xac\x84\xc0\x74\x06\xba" + _word(_COM1) + b"\xee\xeb\xf5"
    return b"\xbe" + _word(address) + send


def boot_sector(*, sleepy: bool = False) -> bytes:
    """The 512 bytes, with the signature at their end. A `sleepy` guest answers the button by going
    to sleep (S3)."""
    begin = b"\xfa\x31\xc0\x8e\xd8\x8e\xd0\xbc" + _word(_ORIGIN)  # cli; ds = ss = 0; sp
    arm = _out(_ENABLE, _BUTTON)
    # sti; hlt; mov dx, status; in ax, dx; test ax, button; jz back to sti
    wait = b"\xfb\xf4\xba" + _word(_STATUS) + b"\xed\xa9" + _word(_BUTTON) + b"\x74\xf5"
    answer = _out(_STATUS, _BUTTON)  # writing the bit clears it
    sleep = (
        _out(_CONTROL, _SLEEP_ENABLE | (_SLEEP_TYPE_3 if sleepy else 0)) + b"\xf4\xeb\xfd"
    )  # then hlt for ever
    code_length = len(begin) + len(_say(0)) * 2 + len(arm) + len(wait) + len(answer) + len(sleep)
    ready_at = _ORIGIN + code_length
    first = READY.encode() + b"\r\n\0"
    code = begin + _say(ready_at) + arm + wait + answer + _say(ready_at + len(first)) + sleep
    sector = code + first + GOODBYE.encode() + b"\r\n\0"
    return sector.ljust(510, b"\0") + b"\x55\xaa"


def write(path: Path, size_bytes: int = SIZE_BYTES, *, sleepy: bool = False) -> None:
    """A raw disk that boots it."""
    with path.open("wb") as file:
        file.write(boot_sector(sleepy=sleepy))
        file.truncate(size_bytes)
