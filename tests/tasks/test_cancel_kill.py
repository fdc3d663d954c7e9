"""kill -9 around a cancellation (faults L8): some of `tests/tasks/cancel_kills.py`, chosen in the
middle of the sagas that have the most to take back."""

from pathlib import Path

import pytest

from gateway.store.db.pool import Store
from tests.tasks.cancel_kills import Campaign
from tests.tasks.test_cancel import STORIES

pytestmark = pytest.mark.long
CHOSEN = {"deploy": 7, "undeploy": 3, "relocate": 3, "reconfigure": 4}
DEATHS = (1, 3, 6)


@pytest.mark.parametrize("name", CHOSEN)
async def test_a_kill_does_not_lose_a_cancellation(
    name: str, postgres_server: str, database_url: str, store: Store, tmp_path: Path
) -> None:
    """It dies as soon as the request is on record, and while the saga turns back."""
    campaign = Campaign(postgres_server, database_url, tmp_path, STORIES[name])
    await campaign.prepare(store)
    campaign.results = {"cancelled"}
    died = [await campaign.dies(CHOSEN[name], point) for point in DEATHS]
    assert died[:2] == [True, True], died
