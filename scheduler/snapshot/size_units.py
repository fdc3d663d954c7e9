"""Sizes as people write them, "4GiB" or "1.5 TiB", become whole bytes or MiB, or are refused."""

import re
from fractions import Fraction

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?) ?([KMGTP]i?B|B)")
_FACTORS = {
    "B": 1,
    **{f"{letter}iB": 1024 ** (n + 1) for n, letter in enumerate("KMGTP")},
    **{f"{letter}B": 1000 ** (n + 1) for n, letter in enumerate("KMGTP")},
}
MIB = 2**20


def bytes_of(size: int | str) -> int:
    """Bytes; a bare number counts bytes. ValueError for what is no whole, unsigned size."""
    return _whole(size, 1)


def mib_of(size: int | str) -> int:
    """MiB; a bare number counts MiB. ValueError for what is no whole, unsigned size."""
    return _whole(size, MIB)


def _whole(size: int | str, unit: int) -> int:
    word = str(size).strip()
    if not isinstance(size, bool) and word.isascii() and word.isdigit() and len(word) <= 18:
        return int(word)
    found = _SIZE.fullmatch(word)
    if found is None:
        raise ValueError(f"a size such as 4GiB is needed, not {word}")
    amount: Fraction = Fraction(found[1]) * _FACTORS[found[2]] / unit
    if amount.denominator != 1:
        raise ValueError(f"{word} is no whole number of {'bytes' if unit == 1 else 'MiB'}")
    whole: int = amount.numerator
    return whole
