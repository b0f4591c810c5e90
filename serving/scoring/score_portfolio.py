"""Scoring a whole portfolio into one flat file, and publishing the snapshot that it was scored from."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict, Unpack

import ibis
import numpy as np
import pandas as pd

from features.catalogue.catalogue import Catalogue
from features.contract.schema import EVENT_TABLES
from features.custom.current_catalogue import current_catalogue
from features.errors import BadRequest
from features.signals.signals import Signals
from features.snapshots.snapshot import snapshot
from features.sources.engine import known_before
from features.utils.atomic_files import UNFINISHED, write_file
from features.utils.dates import WEEK_DAYS, Grid
from features.utils.progress import Progress, no_progress
from models.artifacts.champion import Champion, load_champion, read_pointer
from models.artifacts.home_portfolio import require_portfolio
from models.artifacts.unknown_inputs import require_inputs
from models.home import Home
from models.peer_groups.peers import Peers
from models.predictions.assessment import Assessment, assess
from models.predictions.payload import format_instant
from models.predictions.portfolio_table import portfolio_rows
from models.predictions.table_export import formula_note, suffix_of, write_frame
from models.predictions.target_predictions import OUT_OF_SCOPE, SCORED, WithheldStatus, risk_points
from models.rules.evaluate import RISK_COLUMN, history_features
from models.rules.history import WEEKS
from models.rules.playbook import ExecutiveAssignments, OpenPlays
from models.targets import DEFAULT_HORIZON_DAYS, TARGETS, Target
from serving.portfolio.publish_kpis import publish_kpis
from serving.renewals.inputs import RENEWALS, renewals_document
from serving.scoring.publish_predictions import PublishedBatch, publish_batch
from serving.snapshots.published_plays import PLAYS, executive_plays_before, plays_document, previous_publication
from serving.snapshots.scored_snapshot import ScoredSnapshot, assess_earlier
from serving.snapshots.sidecars import ACCOUNTS, accounts_document, write_sidecar
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.store.database import Store
from serving.worklist.first_due import open_plays_before
from serving.worklist.interventions import (
    INTERVENTIONS,
    interventions_document,
    interventions_from_signals,
    read_recorded_before,
)


@dataclass(frozen=True)
class ScoreSummary:
    """What a scoring did.

    Parameters
    ----------
    rows : the accounts written.
    out : the file.
    as_of : the instant, UTC.
    versions : the version of each target's model; None where there is none.
    published : the snapshot that the service can now answer from.
    batch : what was kept in the store; None where that was not asked for.
    notes : what a person should know, a sentence each, without values of accounts.
    """

    rows: int
    out: Path
    as_of: datetime
    versions: Mapping[Target, str | None]
    published: Path
    batch: PublishedBatch | None
    notes: tuple[str, ...]

    def words(self) -> str:
        """The summary as a person reads it, a line each."""
        models = ", ".join(f"{target} {version or 'without a model'}" for target, version in self.versions.items())
        head = f"{self.rows:,} accounts as of {format_instant(self.as_of)} ({models}) in {self.out}"
        kept = [self.batch.words()] if self.batch else []
        return "\n".join([head, *kept, *(f"note: {note}" for note in self.notes)])


def score(
    signals: Signals,
    as_of: datetime,
    out: Path,
    home: Home,
    progress: Progress = no_progress,
    jumped: Sequence[str] = (),
    store: Store | None = None,
    portfolio: str | None = None,
) -> ScoreSummary:
    """Score every account that is active at ``as_of`` with the champion.

    Writes one flat row per account to ``out`` (.csv, .parquet or .ndjson), sorted by account_id: account_id, as_of (ISO
    date, or instant if not a midnight), and what `models.predictions.assessment.Assessment.rows` says. Null is empty
    in CSV. The same
    signals, in any order and with events repeated, and the same champion give the same bytes. Without a champion the
    rows hold the health score and status no_model. The features are those that ship and those of the file that
    RENEWCAST_FEATURES names.

    Account ids are written as they are, also where a spreadsheet would take one for a formula: a changed id would no
    longer join with anything. A note says how many there are.

    ``jumped`` names columns whose unit seems to have changed (`features.feed_health.feed_health.Feeds.jumped`); every
    answer from
    this snapshot says so.

    The signals have to be of the home's ``portfolio``; in a home without an identity they become it.

    The snapshot is published to the home first (and before it the portfolio's measures, for a ``store`` only, since
    they take as long as all else), then what belongs into the ``store`` is kept there in one transaction (where one is
    given), then the file is written, so that a file means that all is done.

    Raises
    ------
    BadRequest : another ending, or no account is active.
    PortfolioMismatchError : the home belongs to another portfolio.
    BundleError : the champion is broken.
    HomeError : the home or ``out`` cannot be written.
    StoreDown : the store cannot be reached.
    """
    suffix = suffix_of(out)
    _try_writing(out)
    home.ensure()
    progress(0.0, "loading the champion")
    catalogue = current_catalogue()
    champion = load_champion(home, catalogue)
    require_portfolio(home, signals, portfolio)
    assessment, feeds, past = assess_portfolio(
        signals, as_of, home, champion, lambda done, what: progress(0.05 + 0.75 * done, what), jumped, store
    )
    frame, rows, rubric = assessment.frame, portfolio_rows(assessment), assessment.champion.rubric
    snapshots, data_through = SnapshotFiles(home, catalogue), _complete_until(signals, as_of, feeds)
    require_portfolio(home, signals, portfolio, keep=True)
    # Before the snapshot: whoever sees it finds what belongs to it.
    horizon_days = champion_horizon(champion)
    write_sidecar(snapshots, as_of, ACCOUNTS, accounts_document(signals, as_of, horizon_days))
    if signals.contractual:
        write_sidecar(snapshots, as_of, RENEWALS, renewals_document(signals, as_of))
    write_sidecar(snapshots, as_of, INTERVENTIONS, interventions_document(signals, as_of))
    write_sidecar(snapshots, as_of, PLAYS, plays_document(assessment))
    if store is not None:
        progress(0.85, "adding up the portfolio's measures")
        publish_kpis(signals, snapshots, as_of, frame, rubric, horizon_days)
    progress(0.9, "writing")
    published = snapshots.publish(
        frame,
        origin=signals.origin,
        data_through=data_through,
        horizon_days=horizon_days,
        feeds=feeds,
        jumped=jumped,
        past=past,
        looked_back_on=history_features(rubric),
    )
    batch = None
    if store is not None:
        earlier = assess_earlier(snapshots, champion, as_of)
        scored = ScoredSnapshot(assessment, as_of, data_through, datetime.now(UTC), earlier, None, snapshots)
        pointer = read_pointer(home)
        batch = publish_batch(store, list(scored.answers()), pointer.history if pointer else ())
    # As text, so that the date is the same in every format.
    write_frame(rows.assign(as_of=format_instant(as_of)), out)
    progress(1.0, "scored")
    versions = {target: assessment.target_scores[target].version for target in TARGETS}
    notes = [*signals.notes, *_notes(assessment)]
    if (note := formula_note(rows, suffix)) is not None:
        notes.append(note)
    return ScoreSummary(
        len(rows),
        out,
        as_of,
        versions,
        published,
        batch,
        tuple(notes),
    )


def assess_portfolio(
    signals: Signals,
    as_of: datetime,
    home: Home,
    champion: Champion,
    progress: Progress = no_progress,
    jumped: Sequence[str] = (),
    store: Store | None = None,
) -> tuple[Assessment, dict[str, datetime | None], pd.DataFrame]:
    """Assess the portfolio at ``as_of`` with a quarter of history: the assessment, the newest event known of each feed,
    and the rows of the weeks before.

    Parameters
    ----------
    store : where callers have recorded what was done, which counts like the interventions of the signals: a play that
        was published before and has not been done since keeps the day on which it was first due. The home's own store
        if not given.

    Raises
    ------
    BadRequest : no account is active.
    HomeError : what was kept of the publication before is broken.
    StoreDown : a publication came before, and the store cannot be reached.
    SignalsError : most of a model's gain lies in features that are unknown for every account.
    RulesError : a file of rules is broken.
    """
    catalogue = current_catalogue()
    feeds = newest_events(signals, as_of)
    snapshots = SnapshotFiles(home, catalogue)
    open_plays: OpenPlays = {}
    if previous_publication(snapshots, as_of) is not None:
        recorded = read_recorded_before(home, as_of, store)
        open_plays = open_plays_before(snapshots, as_of, interventions_from_signals(signals, as_of), recorded)
    scored = score_weeks(
        signals,
        as_of,
        champion,
        catalogue,
        rollups=home.rollups,
        progress=progress,
        feeds=feeds,
        jumped=jumped,
        open_plays=open_plays,
        assignments=executive_plays_before(snapshots, as_of),
    )
    require_inputs(champion.bundles, scored.assessment.frame, tuple(signals.tables), catalogue)
    return scored.assessment, feeds, scored.past


class AssessmentContext(TypedDict, total=False):
    """What is known beside the weeks, as `models.predictions.assessment.assess` takes it."""

    peers: Peers | None
    feeds: Mapping[str, datetime | None]
    jumped: Sequence[str]
    withheld: WithheldStatus | None
    executives_from: float | None
    open_plays: OpenPlays
    assignments: ExecutiveAssignments | None
    is_unknown: Callable[[str], bool]


@dataclass(frozen=True)
class ScoredWeeks:
    """The assessment at the last of `WEEKS` weekly dates, and the rows of the dates before it.

    Parameters
    ----------
    assessment : at ``as_of``.
    past : the earlier rows, with the churn risk of each in the column `models.rules.evaluate.RISK_COLUMN`.
    active : whether any account was active at ``as_of``.
    """

    assessment: Assessment
    past: pd.DataFrame
    active: bool


def score_weeks(
    signals: Signals,
    as_of: datetime,
    champion: Champion,
    catalogue: Catalogue,
    *,
    inactive: str | None = None,
    rollups: Path | None = None,
    progress: Progress = no_progress,
    **context: Unpack[AssessmentContext],
) -> ScoredWeeks:
    """Take the snapshots of the weeks up to ``as_of`` and assess the accounts that are active then.

    The rules look back on the earlier weeks, so that an alert that lasts says since when.

    Parameters
    ----------
    inactive : an account that is answered without a number if no account is active.
    rollups : where rollups of the signals are cached; they are not if not given.
    context : peers, feeds and whatever else `models.predictions.assessment.assess` should know.

    Raises
    ------
    BadRequest : no account is active, and ``inactive`` is not given.
    """
    progress(0.0, "taking the snapshot")
    rows = snapshot(
        signals,
        Grid(as_of - timedelta(weeks=WEEKS - 1), WEEK_DAYS, WEEKS),
        horizon_days=champion_horizon(champion),
        catalogue=catalogue,
        kept=rollups,
        progress=lambda done, what: progress(0.8 * done, what),
    )
    progress(0.85, "scoring")
    dates = rows["as_of"]
    now, past = rows[dates == pd.Timestamp(as_of)], rows[dates < pd.Timestamp(as_of)]
    known = "churn" in champion.bundles and len(past) > 0
    risk = risk_points(past, champion.bundles["churn"]) if known else np.full(len(past), np.nan)
    past = past.assign(**{RISK_COLUMN: risk}).reset_index(drop=True)
    active = len(now) > 0
    if inactive is not None and not active:
        unknown = rows.iloc[:0].reindex([0]).assign(account_id=inactive, as_of=pd.Timestamp(as_of))
        assessment = assess(unknown, champion, context.get("peers"), catalogue=catalogue, withheld=OUT_OF_SCOPE)
    else:
        assessment = assess(now.reset_index(drop=True), champion, past=past, catalogue=catalogue, **context)
    return ScoredWeeks(assessment, past, active)


def champion_horizon(champion: Champion) -> int:
    """The champion's horizon in days, by which an account without contracts is active."""
    horizons = (champion.bundles[target].manifest.horizon_days for target in TARGETS if target in champion.bundles)
    return next(horizons, DEFAULT_HORIZON_DAYS)


def newest_events(signals: Signals, as_of: datetime) -> dict[str, datetime | None]:
    """The newest event of each feed that was known before ``as_of``, UTC; None for a feed without any.

    Interventions are left out: that nothing was done does not make a feed stale.
    """
    instant = as_of.astimezone(UTC).replace(tzinfo=None)
    newest: dict[str, datetime | None] = {}
    for name in EVENT_TABLES:
        if signals.has(name) and name != "interventions":
            table = signals.tables[name]
            found = table.filter(known_before(table, ibis.literal(instant))).occurred_at.max().to_pyarrow().as_py()
            newest[name] = None if found is None else found.replace(tzinfo=UTC)
    return newest


def _complete_until(signals: Signals, as_of: datetime, feeds: Mapping[str, datetime | None]) -> datetime:
    """The newest event known at ``as_of``, so that signals which end long before it do not seem complete; what arrived
    later does not change it. Without events, what the source says."""
    known = [newest for newest in feeds.values() if newest is not None]
    return min(signals.data_through, as_of, max(known, default=as_of))


def _try_writing(out: Path) -> None:
    """Fail before the work and not after it."""
    if out.is_dir():
        raise BadRequest(f"{out} is a folder", "a file", "name a file in it")
    trial = out.with_name(f".{uuid.uuid4().hex}{UNFINISHED}")
    write_file(trial, b"")
    trial.unlink(missing_ok=True)


def _notes(assessment: Assessment) -> list[str]:
    notes = []
    for target in TARGETS:
        statuses = Counter(assessment.target_scores[target].status)
        for status, accounts in sorted(statuses.items()):
            if status != SCORED:
                notes.append(f"{target}: {accounts:,} of {len(assessment.frame):,} accounts have status {status}")
    if not assessment.champion.bundles:
        notes.append("there is no champion yet, so only the health score is told; `renewcast train` makes one")
    notes += [f"the unit of {column} seems to have changed: mend the feed first" for column in assessment.jumped]
    notes += [f"the newest {table} row is {days} days old" for table, days in assessment.stale.items()]
    return notes
