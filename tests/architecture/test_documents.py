"""The documents for newcomers name only what exists, and README leads to every document."""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
README = ROOT / "README.md"
COLUMNS = ["term", "meaning", "on the wire", "in the code"]
QUESTIONS_MIN = 25
CHECKLISTS = {
    *("A hard rule", "A kind of workload rule", "A driver", "An operation on a VM", "A route"),
    *("A migration", "An event action", "A metric", "A configuration key", "An error code"),
}
_NAME = re.compile(r"`([^`]+)`")
_FOLDERS = "gateway|scheduler|drivers|tests|docs|configs|bench|tools|requirements"
_PATH = re.compile(
    rf"(?<![\w./-])(?:(?:{_FOLDERS})/[\w./-]*\w|[\w./-]*\w\.(?:py|md|toml|sql))(?![\w-])"
)
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_WORD_OF_FILE = re.compile(r"`(\w+)` in `([\w./-]+)`")
_DEFINES = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of a Markdown text's tables, without heads and rulers."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if not line.startswith("|") or line.startswith("| ---"):
            continue
        if lines[number + 1 : number + 2] and lines[number + 1].startswith("| ---"):
            continue
        yield [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def heads(text: str) -> Iterator[list[str]]:
    """Yield the head of each table of a Markdown text."""
    lines = text.splitlines()
    for line, following in pairwise(lines):
        if following.startswith("| ---"):
            yield [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def is_defined(name: str) -> bool:
    """Return whether a dotted name is a module or package, or is defined in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:length])
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return _has(_tree(path), parts[length:])
    return False


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _has(scope: ast.Module | ast.ClassDef, names: list[str]) -> bool:
    if not names:
        return True
    for node in scope.body:
        if isinstance(node, _DEFINES) and node.name == names[0]:
            return not names[1:] or (isinstance(node, ast.ClassDef) and _has(node, names[1:]))
        if names[0] in _assigned(node):
            return not names[1:]
    return False


def _assigned(node: ast.stmt) -> list[str]:
    match node:
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.Assign(targets=targets):
            return [each.id for each in targets if isinstance(each, ast.Name)]
        case _:
            return []


def unknown_names(glossary: str) -> list[str]:
    """Return the names of the column `in the code` that are defined nowhere."""
    named = [name for row in rows(glossary) for name in _NAME.findall(row[-1])]
    return [name for name in named if not is_defined(name)]


def rows_without_code(glossary: str) -> list[str]:
    """Return the terms whose row names no code."""
    return [row[0] for row in rows(glossary) if not _NAME.search(row[-1])]


def repeated_terms(glossary: str) -> list[str]:
    """Return the terms that have more than one row."""
    terms = Counter(row[0].lower() for row in rows(glossary))
    return [term for term, times in terms.items() if times > 1]


def missing_paths(text: str, folder: Path) -> list[str]:
    """Return the paths in a text that exist neither from the root nor from its own folder."""
    found = _PATH.findall(text)
    return [path for path in found if not (ROOT / path).exists() and not (folder / path).exists()]


def missing_places(text: str) -> list[str]:
    """Return the paths in backquotes that do not exist; `NAME` stands for any name in a path."""
    paths = [name for name in _NAME.findall(text) if _PATH.fullmatch(name.rstrip("/"))]
    return [path for path in paths if not _stands_for(path)]


def _stands_for(path: str) -> bool:
    places = ROOT.glob(path.replace("NAME", "*")) if "NAME" in path else [ROOT / path]
    return any(place.exists() for place in places)


def missing_tests(text: str) -> list[str]:
    """Return the tests in backquotes that the file named before them in their line has not."""
    missing = []
    for line in text.splitlines():
        file = ROOT / "nowhere"
        for name in _NAME.findall(line):
            if name.startswith("tests/") and name.endswith(".py"):
                file = ROOT / name
            elif name.startswith("test_") and not _defines_test(file, name):
                missing.append(name)
    return missing


def _defines_test(file: Path, name: str) -> bool:
    nodes = ast.walk(_tree(file)) if file.is_file() else ()
    return any(isinstance(node, _DEFINES) and node.name == name for node in nodes)


def missing_words(text: str) -> list[str]:
    """Return each "`word` in `file`" whose file exists without the word."""
    return [
        f"{word} in {path}"
        for word, path in _WORD_OF_FILE.findall(text)
        if (ROOT / path).is_file()
        and not re.search(rf"\b{word}\b", (ROOT / path).read_text(encoding="utf-8"))
    ]


def missing_targets(text: str) -> list[str]:
    """Return the targets of `make` in backquotes that the Makefile does not have."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"`make ([\w-]+)", text)
    return [one for one in targets if not re.search(rf"^{one}:", makefile, re.MULTILINE)]


def steps_without_file(text: str) -> list[str]:
    """Return the numbered steps of the checklists that name neither a file nor a checklist."""
    steps = [row for row in rows(text) if re.match(r"\d+\. ", row[0])]
    return [
        row[0]
        for row in steps
        if not any(_NAME.search(cell) or "checklist" in cell for cell in row[1:])
    ]


def unlinked(readme: str) -> list[str]:
    """Return the documents that README has no link to."""
    links = set(_LINK.findall(readme))
    documents = [path for path in (ROOT / "docs").rglob("*") if path.is_file()]
    documents.append(CONTRIBUTING)
    names = [path.relative_to(ROOT).as_posix() for path in documents]
    return sorted(name for name in names if name not in links)


def broken_links(text: str, folder: Path) -> list[str]:
    """Return the links to files that do not exist."""
    return [
        link for link in _LINK.findall(text) if "://" not in link and not (folder / link).exists()
    ]


def layers_in_order(text: str) -> bool:
    """Return whether the first picture names the gateway's layers in the contract's order."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers: list[str] = next(
        one["layers"]
        for one in contracts["tool"]["importlinter"]["contracts"]
        if one.get("containers") == ["gateway"]
    )
    picture = text.split("```")[1]
    at = 0
    for layer in layers:
        found = re.search(rf"(?<![\w.]){re.escape(layer)}(?![\w.])", picture[at:])
        if found is None:
            return False
        at += found.end()
    return True


def test_glossary_has_its_four_columns() -> None:
    found = list(heads(GLOSSARY.read_text(encoding="utf-8")))
    assert found
    assert all(head == COLUMNS for head in found)


def test_glossary_rows_are_whole() -> None:
    text = GLOSSARY.read_text(encoding="utf-8")
    assert [row for row in rows(text) if len(row) != len(COLUMNS)] == []
    assert [row[0] for row in rows(text) if not all(row)] == []
    assert rows_without_code(text) == []


def test_glossary_defines_each_term_once() -> None:
    assert repeated_terms(GLOSSARY.read_text(encoding="utf-8")) == []


def test_glossary_names_code_that_exists() -> None:
    assert unknown_names(GLOSSARY.read_text(encoding="utf-8")) == []


def test_architecture_names_paths_that_exist() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    assert missing_paths(text, ARCHITECTURE.parent) == []
    assert len([row for row in rows(text) if _PATH.search(row[-1])]) >= QUESTIONS_MIN


def test_architecture_shows_the_layers_of_the_import_contract() -> None:
    assert layers_in_order(ARCHITECTURE.read_text(encoding="utf-8"))


def test_contributing_names_only_what_exists() -> None:
    """Each path, test, name and target; the text has every checklist."""
    text = CONTRIBUTING.read_text(encoding="utf-8")
    assert missing_places(text) == []
    assert missing_tests(text) == []
    assert missing_words(text) == []
    assert missing_targets(text) == []
    assert steps_without_file(text) == []
    assert set(re.findall(r"^## (.*)$", text, re.MULTILINE)) >= CHECKLISTS


def test_readme_links_every_document() -> None:
    assert unlinked(README.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "path",
    [README, CONTRIBUTING, *sorted((ROOT / "docs").rglob("*.md"))],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_links_lead_to_files(path: Path) -> None:
    assert broken_links(path.read_text(encoding="utf-8"), path.parent) == []


def test_wrong_documents_are_found() -> None:
    """Each check finds a planted mistake."""
    head = "| term | meaning | on the wire | in the code |\n| --- | --- | --- | --- |\n"
    line = "| task | A request. | `taskId` | `gateway.tasks.saga.{}` |\n"
    assert unknown_names(head + line.format("Saga.operation")) == []
    for wrong in ("Sage", "Saga.nothing", "Entry.GONE", "Saga.operation.value"):
        assert unknown_names(head + line.format(wrong)) == [f"gateway.tasks.saga.{wrong}"]
    assert unknown_names(head + "| a | b | c | `gateway.nowhere` |\n") == ["gateway.nowhere"]
    assert rows_without_code(head + "| a | b | c | - |\n") == ["a"]
    assert repeated_terms(head + line.format("Saga") * 2) == ["task"]
    wrong_paths = "`gateway/nowhere.py` gateway/api/routes.py, nowhere.md drivers/none/"
    assert missing_paths(wrong_paths, ROOT) == ["gateway/nowhere.py", "nowhere.md", "drivers/none"]
    assert missing_places("`drivers/NAME/options.py` `tests/api/` `a.b`") == []
    wrong_places = "`drivers/NAME/nowhere.py` `tests/nowhere/` `nowhere.md`"
    assert missing_places(wrong_places) == _NAME.findall(wrong_places)
    one = "`tests/architecture/test_documents.py` `{}`, `test_wrong_documents_are_found`"
    assert missing_tests(one.format("test_readme_links_every_document")) == []
    assert missing_tests(one.format("test_nothing")) == ["test_nothing"]
    assert missing_tests("`test_wrong_documents_are_found`") == ["test_wrong_documents_are_found"]
    assert missing_words("`test` in `Makefile`, `nothing_at_all` in `Makefile`") == [
        "nothing_at_all in Makefile"
    ]
    assert missing_targets("`make test`, `make nothing X=1`") == ["nothing"]
    assert steps_without_file("| 1. a | `b` | c |\n| 2. a | b | c |\n") == ["2. a"]
    assert "docs/api.md" in unlinked("docs/api.md [the API](docs/nowhere.md)")
    assert broken_links("[a](docs/nowhere.md) [b](docs/api.md#lists)", ROOT) == ["docs/nowhere.md"]
    assert not layers_in_order("```\nservice\ncli\n```")
