"""TOML from outside, parsed by a program of its own: standard input to JSON on standard output.

Run by its path in an isolated interpreter, so it imports the standard library only. `tomllib`
needs time that is quadratic in the parts of a dotted key and recurses into nested arrays; what
would need that is refused before it is parsed, in time linear in the size of the text.
"""

import json
import math
import re
import resource
import sys
import tomllib
from typing import Any

DEPTH_MAX = 8
"""Parts of a dotted key, and levels of arrays and inline tables."""
WORD_MAX = 255
"""Characters of a bare key or a number."""
VALUES_MAX = 100_000
CPU_S = 10
MEMORY_BYTES = 512 * 1024 * 1024

_STRINGS = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:""")?+'
    r"|'''(?:[^']|'(?!''))*+(?:''')?+"
    r'|"(?:[^"\\\n]|\\.)*+"?+'
    r"|'[^'\n]*+'?+"
    r"|\#[^\n]*+",
    re.DOTALL,
)
_PART = r"[A-Za-z0-9_-]++"
_CHAIN = re.compile(rf"(?<![A-Za-z0-9_-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{DEPTH_MAX}}}")
_WORD = re.compile(rf"[A-Za-z0-9_+-]{{{WORD_MAX + 1}}}")
_BRACKETS = re.compile(r"[^\[\]{}]++")


def parse(text: str) -> dict[str, Any]:
    """Return the document; raises ValueError naming the limit or the place that is wrong."""
    # A string stands for one part of a key; a comment stands for nothing.
    bare = _STRINGS.sub(lambda found: "" if found[0].startswith("#") else "s", text)
    if _WORD.search(bare):
        raise ValueError(f"a bare key or a number has more than {WORD_MAX} characters")
    if _CHAIN.search(bare):
        raise ValueError(f"a dotted key has more than {DEPTH_MAX} parts")
    if _nests_deeper(bare):
        raise ValueError(f"it nests deeper than {DEPTH_MAX} levels")
    found = tomllib.loads(text)
    _check_values(found)
    return found


def _nests_deeper(bare: str) -> bool:
    """Take away the innermost brackets, level by level."""
    left = _BRACKETS.sub("", bare).translate(str.maketrans("{}", "[]"))
    for _ in range(DEPTH_MAX):
        left = left.replace("[]", "")
    return bool(left)


def _check_values(found: dict[str, Any]) -> None:
    level: list[Any] = [found]
    count = 0
    while level:
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below.extend(each.values())
            elif isinstance(each, list):
                below.extend(each)
            else:
                _check_scalar(each)
        count += len(below)
        if count > VALUES_MAX:
            raise ValueError(f"it has more than {VALUES_MAX} values")
        level = below


def _check_scalar(value: object) -> None:
    match value:
        case bool():
            return
        case int():
            if not -(2**63) <= value < 2**63:
                raise ValueError("a number has more than 64 bits")
        case float():
            if not math.isfinite(value):
                raise ValueError("a number is not finite")
        case str():
            if "\x00" in value:
                raise ValueError("a text holds a null character")
        case _:
            raise ValueError("dates and times have no meaning here")


def main() -> None:
    """Answer with `found` or `wrong`."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        answer: dict[str, Any] = {"found": parse(sys.stdin.buffer.read().decode())}
    except UnicodeDecodeError:
        answer = {"wrong": "it is not UTF-8 text"}
    except ValueError as wrong:
        answer = {"wrong": str(wrong)[:300]}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
