"""`vmgate rules` and `vmgate cluster export` against a served API, as a person would use them."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.api.auth import passwords
from gateway.cli import app
from gateway.store.capacity import checkpoints
from gateway.store.capacity.checkpoints import CheckpointPace
from gateway.store.db.pool import Store
from scheduler.snapshot.snapshot import from_mapping
from tests.api.test_rules_in_effect import serving_live
from tests.api.vm_client import Api, serving

Ran = tuple[int, str, str]


@pytest.fixture
async def api(store: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    """A served API; the environment says where, and who asks."""
    async with serving(store) as opened:
        async with store.transaction() as c:
            await c.execute(
                "insert into rule (kind, level, fit_policy) "
                "values ('fit_policy', 'global', 'PROGRESSIVE')"
            )
        await log_in(opened, monkeypatch)
        yield opened


async def log_in(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment says where the service is, and who asks."""
    hashed = passwords.hash_password("secret")
    async with api.store.transaction() as c:
        await c.execute("update app_user set password_hash = $1 where id = 1", hashed)
    monkeypatch.setenv("VMGATE_URL", str(api._client.make_url("/")).rstrip("/"))
    monkeypatch.setenv("VMGATE_PASSWORD", "secret")


async def run(capsys: pytest.CaptureFixture[str], *words: str) -> Ran:
    """The exit status and what was printed; in a thread, as a command is a program of its own."""

    def ran() -> int:
        try:
            app(words)
        except SystemExit as ended:
            return int(str(ended.code))
        return 0

    status = await asyncio.to_thread(ran)
    told = capsys.readouterr()
    return status, told.out, told.err


async def test_rules_from_export_to_rollback(
    api: Api, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Edit the file, import it, look what it does, activate it, take it back."""
    file = tmp_path / "rules.toml"
    file.write_text(
        'comment = "more"\n[[fitPolicyRules]]\nfitPolicy = "PROGRESSIVE"\n'
        "[[machineLoadRules]]\nrack = 1\ncpuLoadPercentage = 300\nramLoadPercentage = 100\n"
        '[[tests]]\nname = "one"\ncpu = 1\nram = "1GiB"\ndisk = "1GiB"\ndatacenter = 1\n'
        'type = "KVM"\n',
        encoding="utf-8",
    )
    assert await run(capsys, "rules", "import", str(file)) == (0, "d1\n", "")
    status, out, _ = await run(capsys, "rules", "diff", "d1")
    assert status == 0
    assert json.loads(out)["added"]["machineLoadRules"][0]["rack"] == 1
    assert await run(capsys, "rules", "validate", "d1") == (0, "valid\n", "")
    status, out, _ = await run(capsys, "rules", "simulate", "d1")
    assert json.loads(out)["effect"]["headroom"]["cpu"]["change"] == 2 * (16 * 3 + 1)
    status, out, _ = await run(capsys, "rules", "activate", "d1")
    assert (status, out.endswith("is in force\n")) == (0, True)
    assert await api.row("select cpu_limit from ledger where kind='host' and id=1") == 48
    status, out, _ = await run(capsys, "rules", "list")
    assert "more" in out.splitlines()[0]
    oldest = out.splitlines()[-1].split()[0]
    status, out, _ = await run(capsys, "rules", "show", out.split()[1])
    assert "cpuLoadPercentage = 300" in out
    # The oldest is from before there was a fit policy.
    status, _, err = await run(capsys, "rules", "rollback", oldest)
    assert (status, err[:16]) == (1, "vmgate: RULE-4: ")


async def test_a_draft_is_asked_what_it_would_have_made_of_the_last_days(
    store: Store,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Against a service with a running engine: what it refused, in as many days as are named."""
    file = tmp_path / "rules.toml"
    file.write_text(
        '[[fitPolicyRules]]\nfitPolicy = "PROGRESSIVE"\n'
        "[[machineLoadRules]]\ndatacenter = 1\ncpuLoadPercentage = 0\nramLoadPercentage = 100\n",
        encoding="utf-8",
    )
    async with serving_live(store) as live:
        await checkpoints.take(store, CheckpointPace(), live.rig.sequencer.flush)
        assert (await live.deploy(1))["result"] == "success"
        await live.rig.sequencer.flush()
        await log_in(live.api, monkeypatch)
        assert await run(capsys, "rules", "import", str(file)) == (0, "d1\n", "")
        status, out, _ = await run(capsys, "rules", "simulate", "d1", "--days", "2")
        found = json.loads(out)["history"]
        assert (status, found["days"], found["requests"], found["exact"]) == (0, 2, 1, True)
        (refused,) = found["refusedMore"]["listed"]
        assert (refused["vm"], refused["hostAfter"], "CPU" in refused["reasons"]) == (1, None, True)
        _, out, _ = await run(capsys, "rules", "simulate", "d1")
        assert json.loads(out)["history"]["days"] == 7
        status, out, _ = await run(capsys, "rules", "simulate", "d1", "--days", "0")
        assert (status, "history" in json.loads(out)) == (0, False)
        status, out, err = await run(capsys, "rules", "simulate", "d1", "--days", "3651")
        assert (status, out, err.count("\n")) == (1, "", 1)


async def test_what_is_refused_is_one_line_and_status_1(
    api: Api, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, out, err = await run(capsys, "rules", "show", "d99")
    assert (status, out) == (1, "")
    assert err == "vmgate: RULE-17: There is no such draft of the rules\n"
    bad = tmp_path / "bad.toml"
    bad.write_text("[[", encoding="utf-8")
    status, _, err = await run(capsys, "rules", "import", str(bad))
    assert (status, err.count("\n")) == (1, 1)
    os.environ["VMGATE_PASSWORD"] = "wrong"
    assert (await run(capsys, "rules", "list"))[0] == 1


async def test_the_exported_cluster_is_one_to_decide_from(
    api: Api, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Issue item 7: export, then place offline."""
    file = tmp_path / "cluster.json"
    assert (await run(capsys, "cluster", "export", "-o", str(file)))[0] == 0
    cluster = from_mapping(json.loads(file.read_text(encoding="utf-8")))
    assert [host.name for host in cluster.hosts] == ["h1", "h2", "h3", "h4", "h5", "h6"]
    size = ("--cpu", "16", "--ram", "1GiB", "--disk", "1GiB", "--type", "KVM", "--datacenter", "1")
    status, out, _ = await run(capsys, "place", "--cluster", str(file), *size)
    assert (status, out[:2]) == (0, "h1")
