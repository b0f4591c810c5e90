"""Time of pages compared with the JSON of the same data, for ACCOUNTS accounts: `python -m bench.pages HOME ACCOUNTS`.

HOME has a scored portfolio, whose accounts are copied under other names until the number is reached.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pandas as pd
from fastapi.testclient import TestClient

from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.portfolio.cohorts import LIVES, lives_document
from serving.portfolio.kpi_file import read_contributions, write_contributions
from serving.portfolio.kpi_schemas import PUBLISHED_PERIODS
from serving.portfolio.kpi_values import KpiContributions
from serving.renewals.inputs import RENEWALS
from serving.snapshots.sidecars import ACCOUNTS, COHORTS, KPIS, read_sidecar, write_sidecar
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.worklist.interventions import INTERVENTIONS

TIMES = 15
PATHS = (
    ("/", "/v1/portfolio"),
    ("/?sort=health&size=100", "/v1/portfolio"),
    ("/?q=77&health=yellow&sort=account", "/v1/portfolio"),
    ("/accounts/{account}", "/v1/accounts/{account}/prediction"),
    ("/worklist", "/v1/worklist"),
    ("/renewals", "/v1/renewals"),
    ("/cohorts", "/v1/portfolio/cohorts"),
    ("/leadership", "/v1/portfolio/leadership"),
    ("/leadership?segment=SMB&by=csm", "/v1/portfolio/leadership?segment=SMB&by=csm"),
    ("/?segment=SMB", "/v1/portfolio/measures?segment=SMB"),
    ("/trends?segment=SMB", "/v1/portfolio/measures/trend?segment=SMB"),
    ("/accounts/{account}/plan", "/v1/accounts/{account}/plan"),
    ("/model", None),
    ("/docs", "/openapi.json"),
)


def enlarged(home: Home, accounts: int, place: Path) -> Home:
    """Return a copy of the home whose latest snapshot has the given number of accounts."""
    skip = shutil.ignore_patterns("mlartifacts", "mlflow.db", "store.sqlite*", "rollups", "demo", "companions", "jobs")
    shutil.copytree(home.root, place, ignore=skip)
    copy = Home(place)
    snapshots = SnapshotFiles(copy)
    latest = snapshots.latest()
    copies = -(-accounts // len(latest.frame))

    def many(frame: pd.DataFrame) -> pd.DataFrame:
        parts = [frame.assign(account_id=frame["account_id"] + f"-{k}") for k in range(copies)]
        return pd.concat(parts, ignore_index=True)

    facts = latest.metadata
    past = None if latest.past is None else many(latest.past)
    looked = [] if past is None else [name for name in past.columns if name not in ("account_id", "as_of")]
    for name in (RENEWALS, INTERVENTIONS, KPIS, COHORTS):
        if (sidecar := read_sidecar(SnapshotFiles(home), facts.as_of, name)) is not None:
            write_sidecar(snapshots, facts.as_of, name, sidecar)
    if (sidecar := read_sidecar(SnapshotFiles(home), facts.as_of, ACCOUNTS)) is not None:
        people = {
            f"{account}-{k}": facts_of_account
            for account, facts_of_account in sidecar["accounts"].items()
            for k in range(copies)
        }
        write_sidecar(snapshots, facts.as_of, ACCOUNTS, sidecar | {"accounts": people})
    if (sidecar := read_sidecar(SnapshotFiles(home), facts.as_of, LIVES)) is not None:
        lives = many(pd.DataFrame(sidecar["columns"]))
        write_sidecar(snapshots, facts.as_of, LIVES, lives_document(lives, sidecar["contractual"]))
    write_contributions(
        snapshots, facts.as_of, {name: _many_contributions(home, facts.as_of, name, many) for name in PUBLISHED_PERIODS}
    )
    snapshots.publish(
        many(latest.frame),
        origin=facts.origin,
        data_through=facts.data_through,
        horizon_days=facts.horizon_days,
        feeds=facts.feeds,
        jumped=facts.jumped,
        past=past,
        looked_back_on=looked,
    )
    return copy


def _many_contributions(
    home: Home, as_of: datetime, period: str, many: Callable[[pd.DataFrame], pd.DataFrame]
) -> KpiContributions:
    parts = []
    for span in ("now", "last"):
        part = read_contributions(SnapshotFiles(home), as_of, period, span)
        assert part is not None, "score the home again with --publish"
        parts.append(replace(part, rows=many(part.rows.astype({"account_id": str}))))
    return KpiContributions(*parts, None)


def main() -> None:
    """Measure and print."""
    home, accounts = Home(Path(sys.argv[1]).absolute()), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as place:
        copy = enlarged(home, accounts, Path(place) / "home")
        app = create_app(copy, ServiceSettings(open_locally=True, requests_a_minute=1_000_000))
        with TestClient(app, base_url="http://localhost", client=("127.0.0.1", 1)) as client:
            scored = app.state.live.current().scored(None)
            account = scored.assessment.account_ids[len(scored.assessment.frame) // 2]
            print(f"{len(scored.assessment.frame):,} accounts; milliseconds: first, median, worst of {TIMES}; bytes")
            for paths in PATHS:
                for path in paths:
                    if path is not None:
                        _measure(client, path.format(account=account))


def _measure(client: TestClient, path: str) -> None:
    durations = []
    for _ in range(TIMES + 1):
        begun = time.perf_counter()
        answer = client.get(path)
        durations.append(1000 * (time.perf_counter() - begun))
        if answer.status_code != 200:
            print(f"{path:44} {answer.status_code}")
            return
    first, *rest = durations
    print(f"{path:44} {first:9.1f} {statistics.median(rest):8.1f} {max(rest):8.1f} {len(answer.content):10,}")


if __name__ == "__main__":
    main()
