"""Write a generation of the corpus: `CORPUS=2026-12 pytest tests/compatibility/record_corpus.py`.

It is no test and never runs with them. A generation that exists is not written again.
"""

import json
import os
import shutil

from gateway.store.db.pool import Store
from tests.compatibility import saved, wire, words
from tests.compatibility.story import told


async def test_record(store: Store) -> None:
    folder = saved.CORPUS / os.environ["CORPUS"]
    folder.mkdir(parents=True)
    async with told(store) as end:
        rows = await saved.rows_of(store)
        saved.write(folder / "store.json", rows)
        saved.write(folder / "world.json", saved.world_rows(end.world))
        async with store.read() as c:
            known = [row[0] for row in await c.fetch("select name from migration order by name")]
        (folder / "migrations.json").write_text(json.dumps(known, indent=1) + "\n")
        sums = [f"{words.checksum(name)}  {name}.sql\n" for name in known]
        (folder / "migrations.sha256").write_text("".join(sums))
        (folder / "ends.json").write_text(json.dumps(end.ends, indent=1) + "\n")
        cluster = (await end.api.call("GET", "admin/cluster")).body
        (folder / "cluster.json").write_text(json.dumps(cluster) + "\n")
        (folder / "words.txt").write_text("\n".join(words.of_rows(rows)) + "\n")
        (folder / "wire.txt").write_text("\n".join(await wire.fields(end.api)) + "\n")
    (folder / "source.txt").write_text("\n".join(words.of_source()) + "\n")
    (folder / "configuration.txt").write_text("\n".join(words.of_configuration()) + "\n")
    for name in ("production.toml", "demo.toml"):
        shutil.copy(words.ROOT / "configs" / name, folder)
