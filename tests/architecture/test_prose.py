"""Documents for operators avoid the words that non-native readers have to decode.

Code blocks, names in backquotes and links are not prose, so they are left out.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *(path for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md") if path.exists()),
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "configs").glob("*.toml")),
]
_PLAIN = {
    r"told|said": "show, report, name, record",
    r"glad\w*": "rank, score",
    r"anew": "again",
    r"in vain": "without effect",
    r"so many": "the number",
    r"no more": "not ... again, at most",
    r"whoever": "callers who, the process that",
    r"(?:an|the|no|its|has|of) otherwise|otherwise than": "difference",
    r"worlds?": "simulation, hypervisors",
    r"things?": "name the object",
}
_WORDS = {re.compile(rf"\b(?:{word})\b", re.IGNORECASE): plain for word, plain in _PLAIN.items()}
_NOT_PROSE = re.compile(r"`[^`]*`|\]\([^)]*\)|<!--.*?-->")
_VALUE = re.compile(r'"[^"]*"')


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and the prose of each line: of TOML the comments, of Markdown the text."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if path.suffix == ".toml":
        yield from ((n, _VALUE.sub("", line).partition("#")[2]) for n, line in enumerate(lines, 1))
        return
    fenced = indented = False
    for number, line in enumerate(lines, 1):
        fenced ^= line.startswith("```")
        # An indented line after a paragraph or a list item continues it and is prose.
        after_blank = number == 1 or not lines[number - 2].strip()
        indented = line.startswith("    ") and (indented or after_blank)
        if not fenced and not indented:
            yield number, _NOT_PROSE.sub("", line)


def unclear_words(path: Path) -> list[str]:
    """Return each unclear word as `line: word (plain words)`."""
    return [
        f"{number}: {found[0]} (write: {plain})"
        for number, text in prose(path)
        for word, plain in _WORDS.items()
        for found in word.finditer(text)
    ]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_documents_use_plain_words(path: Path) -> None:
    assert unclear_words(path) == []


def test_unclear_words_are_found(tmp_path: Path) -> None:
    """Each word is found in prose, and in prose only."""
    text = tmp_path / "a.md"
    text.write_text(
        "It is told.\nThe gladdest host\nRead anew, in vain.\nSo many, no more\nWhoever asks\n"
        "An otherwise, other things of the world\n```\nsaid\n```\n\n    said\n    said\n\n"
        "`said`, otherwise done\n- an item\n      said\n"
    )
    assert [each.split(" (")[0] for each in unclear_words(text)] == [
        *("1: told", "2: gladdest", "3: anew", "3: in vain", "4: So many", "4: no more"),
        *("5: Whoever", "6: An otherwise", "6: world", "6: things", "16: said"),
    ]
    file = tmp_path / "a.toml"
    file.write_text('said = "told"  # read anew\n')
    assert unclear_words(file) == ["1: anew (write: again)"]
