"""Words that an earlier version recorded are still written, and still mean a place of the product.

The story is told again by the present code: each word that the stores of earlier versions hold must
be in the store that it writes, and each field of an earlier answer in an answer of today.
"""

from pathlib import Path

import pytest

from gateway.store.db.pool import Store
from tests.compatibility import saved, wire, words
from tests.compatibility.story import told
from tests.documented_events import undocumented

GENERATIONS = sorted(path for path in saved.CORPUS.iterdir() if path.is_dir())


def missing(generation: Path, name: str, now: list[str]) -> list[str]:
    """Return the recorded words that are no more; there must be many that are."""
    recorded = (generation / name).read_text().splitlines()
    assert len(recorded) > 50
    return sorted(set(recorded) - set(now))


async def test_the_words_of_stores_and_answers_are_still_written(store: Store) -> None:
    async with told(store) as end:
        stored = words.of_rows(await saved.rows_of(store))
        answered = await wire.fields(end.api)
        assert await undocumented(store) == set()
    for each in GENERATIONS:
        assert missing(each, "words.txt", stored) == []
        assert missing(each, "wire.txt", answered) == []


@pytest.mark.parametrize("generation", GENERATIONS, ids=lambda each: each.name)
def test_codes_and_metrics_and_words_in_capitals_are_still_in_the_source(generation: Path) -> None:
    """Those that the story does not reach: error codes, reasons, states, actions of events."""
    assert missing(generation, "source.txt", words.of_source()) == []


@pytest.mark.parametrize("generation", GENERATIONS, ids=lambda each: each.name)
def test_each_configuration_key_still_exists(generation: Path) -> None:
    assert missing(generation, "configuration.txt", words.of_configuration()) == []


@pytest.mark.parametrize("generation", GENERATIONS, ids=lambda each: each.name)
def test_no_migration_of_an_earlier_version_was_edited(generation: Path) -> None:
    """A database that has it would be refused: the checksums would differ."""
    recorded = (generation / "migrations.sha256").read_text().splitlines()
    assert len(recorded) >= 17
    for line in recorded:
        checksum, name = line.split("  ")
        assert words.checksum(name.removesuffix(".sql")) == checksum, name
