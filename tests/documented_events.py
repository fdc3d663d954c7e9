"""Compares the events that a test caused with those that docs/api.md names."""

import re
from pathlib import Path

from gateway.store.db.pool import Store

_API = Path(__file__).parents[1] / "docs" / "api.md"
_CAUSED = """
select distinct payload->>'type', payload->>'action' from (
  select payload from feed where topic = 'event'
  union all select payload from outbox where topic = 'event') caused
where payload ? 'action'
"""
"""The store's own tests write payloads without any."""


def documented(text: str) -> set[tuple[str, str]]:
    """Return type and action of each event in the table of a text's section Events."""
    table = text.partition("| type | actions |")[2].partition("\n\n")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines()[2:]]
    return {
        (kind.strip(" `"), one) for kind, actions in rows for one in re.findall(r"\w+", actions)
    }


async def undocumented(store: Store) -> set[tuple[str, str]]:
    """Return type and action of each event in the store that the document does not name."""
    async with store.read() as c:
        caused = {(row[0], row[1]) for row in await c.fetch(_CAUSED)}
    return caused - documented(_API.read_text(encoding="utf-8"))
