"""Time of pages compared with the JSON of the same data, for ACCOUNTS accounts: `python -m bench.pages HOME ACCOUNTS`.

HOME has a scored portfolio, whose accounts are copied under other names until the number is reached. The copies have
40 CSMs, 5 regions and 3 products, and the KPIs are stored for 8 dates. Each copy has the interventions of the signals,
and one account of ten has a recorded one, a third of them closed. Times are milliseconds of processor time in this
process, so that other work on the machine counts little: the median of requests that repeat the first one, and the
median of first requests, each with another filter.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from fastapi.testclient import TestClient

from features.utils.periods import Quarter
from models.home import Home
from models.peer_groups.rule_files import read_rules
from models.rules.plays import PlaysFile
from serving.app.app import create_app
from serving.app.cache_warmer import STEPS
from serving.common.settings import ServiceSettings
from serving.portfolio.cohorts import LIVES, lives_document
from serving.portfolio.contribution_rows import ContributionRows
from serving.portfolio.kpi_file import read_contributions, write_contributions
from serving.portfolio.kpi_schemas import PUBLISHED_PERIODS
from serving.portfolio.kpi_values import KpiContributions
from serving.renewals.inputs import RENEWALS
from serving.schemas.interventions import InterventionChange, InterventionRequest
from serving.snapshots.sidecars import ACCOUNTS, COHORTS, KPIS, PRODUCTS, read_sidecar, write_sidecar
from serving.snapshots.snapshot_files import PublishedSnapshot, SnapshotFiles
from serving.store.database import Store
from serving.store.records import Author
from serving.worklist.intervention_changes import change_intervention, start_intervention
from serving.worklist.interventions import INTERVENTIONS

#: Requests after the first one, first requests with other filters, and dates with KPIs.
TIMES, FILTERS, DATES = 20, 12, 8
#: One account of so many has a recorded intervention, and one of so many of these is closed.
RECORDED_EVERY, CLOSED_EVERY = 10, 3
CSMS, REGIONS, SEGMENTS = 40, 5, ("enterprise", "mid-market", "SMB")
PAGES = (
    ("/", ("/v1/portfolio", "/v1/portfolio/measures")),
    ("/?sort=health&size=100", ("/v1/portfolio", "/v1/portfolio/measures")),
    ("/?q=77&sort=account", ("/v1/portfolio", "/v1/portfolio/measures")),
    ("/?group=csm", ("/v1/portfolio", "/v1/portfolio/measures", "/v1/portfolio/groups?by=csm")),
    ("/worklist", ("/v1/worklist",)),
    ("/renewals", ("/v1/renewals",)),
    ("/cohorts", ("/v1/portfolio/cohorts",)),
    ("/churned", ()),
    ("/onboarding", ("/v1/onboarding",)),
    ("/trends", ("/v1/portfolio/changes", "/v1/portfolio/measures/trend")),
    ("/leadership", ("/v1/portfolio/leadership",)),
    ("/leadership?by=csm", ("/v1/portfolio/leadership?by=csm",)),
    ("/alerts", ("/v1/alerts/active",)),
    ("/interventions", ("/v1/interventions",)),
    ("/accounts/{account}", ("/v1/accounts/{account}/prediction",)),
    ("/accounts/{account}/plan", ("/v1/accounts/{account}/plan",)),
    ("/accounts/{account}/qbr", ("/v1/accounts/{account}/qbr?quarter={quarter}",)),
    ("/reviews", ("/v1/reviews",)),
    ("/model", ()),
    ("/views", ("/v1/views",)),
    ("/docs", ("/openapi.json",)),
)
FILTERED = ("/", "/worklist", "/renewals", "/cohorts", "/trends", "/leadership", "/alerts")


def enlarged(home: Home, accounts: int, place: Path) -> Home:
    """Return a copy of the home whose latest snapshot has the given number of accounts."""
    skip = shutil.ignore_patterns("mlartifacts", "mlflow.db", "store.sqlite*", "rollups", "demo", "companions", "jobs")
    shutil.copytree(home.root, place, ignore=skip)
    copy, source = Home(place), SnapshotFiles(home)
    snapshots = SnapshotFiles(copy)
    latest = snapshots.latest()
    copies = -(-accounts // len(latest.frame))

    def many(frame: pd.DataFrame) -> pd.DataFrame:
        parts = [frame.assign(account_id=frame["account_id"] + f"-{k}") for k in range(copies)]
        return pd.concat(parts, ignore_index=True)

    as_of = latest.metadata.as_of
    for name in (RENEWALS, KPIS, COHORTS):
        if (sidecar := read_sidecar(source, as_of, name)) is not None:
            write_sidecar(snapshots, as_of, name, sidecar)
    if (sidecar := read_sidecar(source, as_of, INTERVENTIONS)) is not None:
        # The account is the first column.
        rows = [[f"{account}-{k}", *rest] for k in range(copies) for account, *rest in sidecar["rows"]]
        write_sidecar(snapshots, as_of, INTERVENTIONS, {**sidecar, "rows": rows})
    if (sidecar := read_sidecar(source, as_of, ACCOUNTS)) is not None:
        _write_people(snapshots, as_of, sidecar, copies)
    if (sidecar := read_sidecar(source, as_of, LIVES)) is not None:
        lives = many(pd.DataFrame(sidecar["columns"]))
        write_sidecar(snapshots, as_of, LIVES, lives_document(lives, sidecar["contractual"]))
    contributions = {name: _many_contributions(source, as_of, name, many) for name in PUBLISHED_PERIODS}
    past = None if latest.past is None else many(latest.past)
    frame = many(latest.frame)
    for week in range(DATES):
        date = as_of - timedelta(weeks=week)
        kpis = read_sidecar(source, as_of, KPIS)
        assert kpis is not None, "score the home again with --publish"
        write_sidecar(snapshots, date, KPIS, kpis)
        write_contributions(snapshots, date, contributions)
        # Of the earlier dates, only the one to compare with is read.
        shown = frame if week in (0, 4) else frame.head(1)
        _publish(snapshots, latest, shown.assign(as_of=pd.Timestamp(date)), past if week == 0 else None)
    _record_interventions(copy, list(frame["account_id"])[::RECORDED_EVERY], as_of)
    return copy


def _record_interventions(home: Home, accounts: Sequence[str], as_of: datetime) -> None:
    store, author = Store.of(home), Author("bench", "a person")
    plays = [play.cause for play in read_rules("plays", PlaysFile).plays if play.kind == "save"]
    for place, account in enumerate(accounts):
        begun = as_of - timedelta(days=1 + place % 60)
        request = {"account_id": account, "occurred_at": begun.isoformat(), "play": plays[place % len(plays)]}
        started = start_intervention(store, author, InterventionRequest.model_validate(request))
        if place % CLOSED_EVERY == 0:
            change = InterventionChange.model_validate({"result": ("saved", "lost")[place % 2]})
            change_intervention(store, author, started.id, change, None)


def _write_people(snapshots: SnapshotFiles, as_of: datetime, document: dict[str, Any], copies: int) -> None:
    people, products = {}, {}
    unknown = dict.fromkeys(("seats", "active_users", "active_users_before"))
    for place, (account, k) in enumerate(product(document["accounts"], range(copies))):
        name = f"{account}-{k}"
        groups = {"csm": f"CSM {place % CSMS:02}", "region": f"Region {place % REGIONS}"}
        people[name] = {**document["accounts"][account], "name": f"Company {name}", **groups}
        products[name] = [{"product": f"Product {place % 3}", "held": True, "arr": people[name]["arr"], **unknown}]
    former = {
        f"{account}-{k}": {**each, "csm": f"CSM {k % CSMS:02}", "region": f"Region {k % REGIONS}"}
        for account, each in document["former"].items()
        for k in range(copies)
    }
    parents = {f"{child}-{k}": f"{parent}-{k}" for child, parent in document["parents"].items() for k in range(copies)}
    write_sidecar(
        snapshots, as_of, ACCOUNTS, {**document, "accounts": people, "former": former, "parents": parents, "names": {}}
    )
    write_sidecar(snapshots, as_of, PRODUCTS, {"products": products})


def _publish(
    snapshots: SnapshotFiles, latest: PublishedSnapshot, frame: pd.DataFrame, past: pd.DataFrame | None
) -> None:
    facts = latest.metadata
    looked = [] if past is None else [name for name in past.columns if name not in ("account_id", "as_of")]
    snapshots.publish(
        frame,
        origin=facts.origin,
        data_through=min(facts.data_through, frame["as_of"].iloc[0].to_pydatetime()),
        horizon_days=facts.horizon_days,
        feeds=facts.feeds,
        jumped=facts.jumped,
        past=past,
        looked_back_on=looked,
    )


def _many_contributions(
    snapshots: SnapshotFiles, as_of: datetime, period: str, many: Callable[[pd.DataFrame], pd.DataFrame]
) -> KpiContributions:
    parts = []
    for span in ("now", "last"):
        part = read_contributions(snapshots, as_of, period, span)
        assert part is not None, "score the home again with --publish"
        parts.append(replace(part, rows=ContributionRows.of(many(part.rows.table()))))
    return KpiContributions(*parts, None)


def main() -> None:
    """Measure and print."""
    home, accounts = Home(Path(sys.argv[1]).absolute()), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as place:
        copy = enlarged(home, accounts, Path(place) / "home")
        app = create_app(copy, ServiceSettings(open_locally=True, requests_a_minute=1_000_000, request_seconds=600))
        with TestClient(app, base_url="http://localhost", client=("127.0.0.1", 1)) as client:
            scored = app.state.live.current().scored(None)
            # The service does so in the background.
            for step in STEPS.values():
                step(scored)
            quarter = Quarter.of(scored.as_of - timedelta(microseconds=1))
            ids = scored.assessment.account_ids
            names = {"account": ids[len(ids) // 2], "quarter": quarter.name}
            print(f"{len(ids):,} accounts; milliseconds of processor time: median of {TIMES}")
            print(f"{'page':32} {'page':>7} {'JSON':>7} {'page - JSON':>12} {'bytes':>9}")
            for page, sources in PAGES:
                _compare(client, page.format(**names), [each.format(**names) for each in sources])
            print(f"first requests with another filter, median of {FILTERS}")
            filters = _filters()
            for page in FILTERED:
                _compare_first(client, page, dict(PAGES)[page], filters)


def _filters() -> Iterator[str]:
    """Yield filters that were not used before."""
    for csm, region, segment in product(range(CSMS), range(REGIONS), SEGMENTS):
        if csm % REGIONS == region:
            yield f"csm=CSM+{csm:02}&segment={segment}"
            yield f"csm=CSM+{csm:02}&segment={segment}&region=Region+{region}"
            yield f"csm=CSM+{csm:02}&segment={segment}&product=Product+{region % 3}"
            yield f"csm=CSM+{csm:02}&segment={segment}&risk={('low', 'medium', 'high')[region % 3]}"


def _compare(client: TestClient, page: str, sources: list[str]) -> None:
    """Print the times of a page and of its JSON, after a first request."""
    times = []
    for paths in ([page], sources):
        for path in paths:
            _request(client, path)
        times.append([sum(_request(client, path) for path in paths) for _ in range(TIMES)])
    _print(page, *map(statistics.median, times), len(client.get(page).content))


def _compare_first(client: TestClient, page: str, sources: tuple[str, ...], filters: Iterator[str]) -> None:
    """Print the times of first requests. Page and JSON have different filters, since they share what is computed."""
    times: list[list[float]] = [[], []]
    for _ in range(FILTERS):
        for place, paths in enumerate(([page], sources)):
            chosen = next(filters)
            times[place].append(sum(_request(client, f"{path}{'&' if '?' in path else '?'}{chosen}") for path in paths))
    _print(f"{page} + filter", *map(statistics.median, times))


def _print(page: str, own: float, source: float, size: int | None = None) -> None:
    end = "" if size is None else f"{size:,}"
    print(f"{page:32} {own:7.1f} {source:7.1f} {own - source:12.1f} {end:>9}", flush=True)


def _request(client: TestClient, path: str) -> float:
    begun = time.process_time()
    answer = client.get(path)
    duration = 1000 * (time.process_time() - begun)
    assert answer.status_code == 200, f"{path} {answer.status_code} {answer.text[:300]}"
    return duration


if __name__ == "__main__":
    main()
