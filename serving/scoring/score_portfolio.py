"""Scoring of a whole portfolio into one flat file, and publication of its snapshot."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import ibis
import numpy as np
import pandas as pd

from features.catalogue.catalogue import Catalogue
from features.contract.current_contract import current_tables, event_tables
from features.custom.current_catalogue import current_catalogue
from features.errors import BadRequest
from features.revenue.arr import account_names
from features.signals.signals import OpenSignals
from features.snapshots.peer_rates import PeerTotals
from features.snapshots.snapshot import snapshot
from features.sources.engine import known_before
from features.utils.atomic_files import UNFINISHED, write_file
from features.utils.dates import Grid
from features.utils.formatting import count_of, moment, verb_for
from features.utils.open_questions import uncertainty
from features.utils.private_files import make_tree_private
from features.utils.progress import Progress, no_progress
from models.artifacts.champion import Champion, load_champion
from models.artifacts.champion_pointer import read_pointer
from models.artifacts.home_portfolio import require_portfolio
from models.artifacts.unknown_inputs import require_inputs
from models.health.rubric_names import SPREADSHEET_RUBRIC
from models.home import Home
from models.home_writers import writing
from models.peer_groups.peers import Peers
from models.predictions.assessment import Assessment, assess
from models.predictions.payload import format_instant
from models.predictions.portfolio_table import portfolio_rows
from models.predictions.table_export import formula_note, suffix_of, write_frame
from models.predictions.target_predictions import OUT_OF_SCOPE, SCORED, WHY_NOT_SCORED, WithheldStatus, risk_points
from models.rules.business_reviews import report_features
from models.rules.evaluate import RISK_COLUMN, history_features
from models.rules.intervention_table import interventions_from_signals
from models.rules.playbook import ExecutiveAssignments, OpenPlays
from models.targets import DEFAULT_HORIZON_DAYS, TARGETS, Target
from serving.snapshots.published_peer_totals import PEER_TOTALS, peer_totals_document, scored_weeks
from serving.snapshots.published_plays import PLAYS, executive_plays_before, plays_document, previous_publication
from serving.snapshots.sidecars import ACCOUNTS, PRODUCTS, accounts_document, products_document, write_sidecar
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.worklist.first_due import open_plays_before
from serving.worklist.interventions import (
    INTERVENTIONS,
    interventions_document,
    read_recorded_before,
    read_recorded_until_next,
)

if TYPE_CHECKING:
    from serving.scoring.publish_predictions import PublishedBatch
    from serving.store.database import Store


@dataclass(frozen=True)
class ScoreSummary:
    """The result of a scoring.

    Parameters
    ----------
    rows : the number of accounts in the file.
    out : the file.
    as_of : the instant, UTC.
    versions : the version of the model for each target; None without a model.
    published : the snapshot that the service now uses.
    batch : the batch in the store; None if nothing was stored.
    notes : notes for the user, one sentence each, without values of accounts.
    """

    rows: int
    out: Path
    as_of: datetime
    versions: Mapping[Target, str | None]
    published: Path
    batch: PublishedBatch | None
    notes: tuple[str, ...]

    def words(self) -> str:
        """Return the summary as text, one line each."""
        models = ", ".join(f"{target} {version or 'without a model'}" for target, version in self.versions.items())
        head = f"{count_of(self.rows, 'account')} as of {moment(self.as_of)} ({models}) in {self.out}"
        batch = [self.batch.words()] if self.batch else []
        return "\n".join([head, *batch, *(f"note: {note}" for note in self.notes)])


def score(
    signals: OpenSignals,
    as_of: datetime,
    out: Path,
    home: Home,
    progress: Progress = no_progress,
    jumped: Sequence[str] = (),
    store: Store | None = None,
    portfolio: str | None = None,
) -> ScoreSummary:
    """Score every account that is active at ``as_of`` with the champion.

    Writes one flat row per account to ``out`` (.csv, .xlsx, .parquet or .ndjson), sorted by account_id: account_id,
    as_of (an ISO date, or an instant if it is not midnight), and the columns of
    `models.predictions.portfolio_table.portfolio_rows`. Null is empty in CSV. The same signals, in any order and with
    repeated events, and the same champion give the same bytes. Without a champion the rows have the health score and
    status no_model. The features are the built-in ones and those of the file in RENEWCAST_FEATURES.

    Account ids are written unchanged, even if a spreadsheet would interpret one as a formula, because a changed id
    would no longer match in a join. A note gives the number of such ids.

    The snapshot is published to the home first; with a ``store``, the KPIs are computed before it, which takes as long
    as everything else. Then the batch is stored in the ``store`` in one transaction. The file is written last, so it
    exists only if everything else is complete.

    Parameters
    ----------
    signals : validated signals of the portfolio of the home.
    as_of : only data known before this instant is used.
    out : the file to write.
    home : the home folder.
    progress : reports the progress.
    jumped : columns whose unit seems to have changed (`features.feed_health.feed_health.Feeds.jumped`). Every answer
        from this snapshot has a warning about them.
    store : the store for the batch; None to store nothing.
    portfolio : the identity of the portfolio. A home without an identity takes it from the signals.

    Returns
    -------
    A summary of the result.

    Raises
    ------
    BadRequest : the format of ``out`` is not supported, or no account is active.
    PortfolioMismatchError : the home belongs to another portfolio.
    BundleError : the champion is broken.
    HomeError : the home or ``out`` cannot be written.
    StoreDown : the store cannot be reached.
    """
    suffix_of(out)
    _try_writing(out)
    with writing(home.ensure(), "scoring"):
        return _score(signals, as_of, out, home, progress, jumped, store, portfolio)


def _score(
    signals: OpenSignals,
    as_of: datetime,
    out: Path,
    home: Home,
    progress: Progress,
    jumped: Sequence[str],
    store: Store | None,
    portfolio: str | None,
) -> ScoreSummary:
    # Commands that only assess a portfolio start faster without the modules that publish it.
    from serving.portfolio.publish_kpis import publish_kpis
    from serving.renewals.inputs import RENEWALS, renewals_document
    from serving.scoring.publish_predictions import publish_batch
    from serving.snapshots.report_tables import write_report_tables
    from serving.snapshots.scored_snapshot import ScoredSnapshot, assess_earlier

    progress(0.0, "loading the champion")
    catalogue = current_catalogue()
    champion = load_champion(home, catalogue).for_signals(signals)
    require_portfolio(home, signals, portfolio)
    assessment, feeds, past = assess_portfolio(
        signals, as_of, home, champion, lambda done, what: progress(0.05 + 0.75 * done, what), jumped, store
    )
    frame, rows, rubric = assessment.frame, portfolio_rows(assessment), assessment.champion.rubric
    snapshots, data_through = SnapshotFiles(home, catalogue), complete_until(signals, as_of, feeds)
    require_portfolio(home, signals, portfolio, keep=True)
    # These files are written before the snapshot, so that they exist when the snapshot becomes visible.
    horizon_days = champion_horizon(champion)
    write_sidecar(snapshots, as_of, ACCOUNTS, accounts_document(signals, as_of, horizon_days))
    write_sidecar(snapshots, as_of, PRODUCTS, products_document(signals, as_of, horizon_days))
    if signals.contractual:
        write_sidecar(snapshots, as_of, RENEWALS, renewals_document(signals, as_of))
    if (peers := peer_totals_document(signals, as_of)) is not None:
        write_sidecar(snapshots, as_of, PEER_TOTALS, peers)
    write_sidecar(snapshots, as_of, INTERVENTIONS, interventions_document(signals, as_of))
    write_sidecar(snapshots, as_of, PLAYS, plays_document(assessment))
    write_report_tables(signals, snapshots, as_of, past, report_features(), horizon_days)
    if store is not None:
        progress(0.85, "computing the KPIs")
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
        records=signals.records,
        open_questions=signals.open_questions,
    )
    batch = None
    if store is not None:
        earlier = assess_earlier(snapshots, champion, as_of)
        scored = ScoredSnapshot(assessment, as_of, data_through, datetime.now(UTC), earlier, None, snapshots)
        pointer = read_pointer(home)
        recorded = read_recorded_until_next(store, snapshots, frozenset(assessment.account_ids), as_of)
        standing = recorded.standing(interventions_from_signals(signals, as_of), as_of)
        running = {account for account, status in standing.items() if status == "under_way"}
        batch = publish_batch(store, list(scored.answers()), pointer.history if pointer else (), running)
    # The date is written as text, so that it is the same in every format.
    write_frame(rows.assign(as_of=format_instant(as_of)), out)
    progress(1.0, "scored")
    versions = {target: assessment.target_scores[target].version for target in TARGETS}
    notes = [*signals.notes, *_notes(assessment)]
    if (note := formula_note(rows, suffix_of(out))) is not None:
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
    signals: OpenSignals,
    as_of: datetime,
    home: Home,
    champion: Champion,
    progress: Progress = no_progress,
    jumped: Sequence[str] = (),
    store: Store | None = None,
) -> tuple[Assessment, dict[str, datetime | None], pd.DataFrame]:
    """Assess the portfolio at ``as_of`` with a quarter of history.

    Parameters
    ----------
    store : the store with the recorded interventions, which count like those of the signals: a play that was published
        before and has not been done since keeps its first due date. Default: the store of the home.

    Returns
    -------
    The assessment, the newest known event of each feed, and the rows of the previous weeks.

    Raises
    ------
    BadRequest : no account is active.
    HomeError : the files of the previous publication are broken.
    StoreDown : there is a previous publication, and the store cannot be reached.
    SignalsError : most of a model's gain lies in features that are unknown for every account.
    RulesError : a file of rules is broken.
    """
    catalogue, champion = current_catalogue(), champion.for_signals(signals)
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
        open_questions=signals.open_questions,
    )
    # A program that imports `renewcast` has its own umask.
    make_tree_private(home.rollups)
    require_inputs(champion.bundles, scored.assessment.frame, tuple(signals.tables), catalogue)
    return scored.assessment, feeds, scored.past


def assess_date(
    signals: OpenSignals, as_of: datetime, champion: Champion, rollups: Path | None = None
) -> Assessment | None:
    """Assess the accounts that are active at ``as_of``, without the weeks before.

    Probabilities and health scores are those of `assess_portfolio`; changes are unknown.

    Parameters
    ----------
    signals : validated signals.
    as_of : only what was known before this instant counts.
    champion : the bundles and the rubric in use.
    rollups : the folder in which roll-ups of the signals are cached. Default: no cache.

    Returns
    -------
    Assessment or None
        None if no account is active.
    """
    catalogue = current_catalogue()
    frame = snapshot(
        signals,
        Grid.single(as_of),
        horizon_days=champion_horizon(champion),
        catalogue=catalogue,
        rollup_folder=rollups,
    )
    if frame.empty:
        return None
    feeds, names = newest_events(signals, as_of), account_names(signals)
    asked = signals.open_questions
    return assess(
        frame, champion.for_signals(signals), feeds=feeds, catalogue=catalogue, names=names, open_questions=asked
    )


class AssessmentContext(TypedDict, total=False):
    """Optional arguments of `models.predictions.assessment.assess`."""

    peers: Peers | None
    feeds: Mapping[str, datetime | None]
    jumped: Sequence[str]
    withheld: WithheldStatus | None
    executives_from: float | None
    open_plays: OpenPlays
    assignments: ExecutiveAssignments | None
    is_unknown: Callable[[str], bool]
    open_questions: Sequence[str]


@dataclass(frozen=True)
class ScoredWeeks:
    """The assessment at the last of `WEEKS` weekly dates, and the rows of the dates before it.

    Parameters
    ----------
    assessment : at ``as_of``.
    past : the earlier rows, with the churn risk in the column `models.rules.evaluate.RISK_COLUMN`.
    active : True if an account was active at ``as_of``.
    """

    assessment: Assessment
    past: pd.DataFrame
    active: bool


def score_weeks(
    signals: OpenSignals,
    as_of: datetime,
    champion: Champion,
    catalogue: Catalogue,
    *,
    inactive: str | None = None,
    rollups: Path | None = None,
    peer_totals: PeerTotals | None = None,
    progress: Progress = no_progress,
    **context: Unpack[AssessmentContext],
) -> ScoredWeeks:
    """Take the snapshots of the weeks up to ``as_of`` and assess the accounts that are active then.

    The rules use the earlier weeks, so that a continuing alert has the date since which it holds.

    Parameters
    ----------
    inactive : an account that is returned without a probability if no account is active.
    rollups : the folder in which roll-ups of the signals are cached. Default: no cache.
    peer_totals : the totals of the portfolio if the signals are only a part of it, as in `snapshot`.
    context : peers, feeds and other arguments of `models.predictions.assessment.assess`.

    Raises
    ------
    BadRequest : no account is active, and ``inactive`` is not given.
    """
    progress(0.0, "taking the snapshot")
    rows = snapshot(
        signals,
        scored_weeks(as_of),
        horizon_days=champion_horizon(champion),
        catalogue=catalogue,
        rollup_folder=rollups,
        peer_totals=peer_totals,
        progress=lambda done, what: progress(0.8 * done, what),
    )
    progress(0.85, "scoring")
    dates = rows["as_of"]
    now, past = rows[dates == pd.Timestamp(as_of)], rows[dates < pd.Timestamp(as_of)]
    has_risk = "churn" in champion.bundles and len(past) > 0
    risk = risk_points(past, champion.bundles["churn"]) if has_risk else np.full(len(past), np.nan)
    past = past.assign(**{RISK_COLUMN: risk}).reset_index(drop=True)
    active = len(now) > 0
    names = account_names(signals)
    if inactive is not None and not active:
        unknown = rows.iloc[:0].reindex([0]).assign(account_id=inactive, as_of=pd.Timestamp(as_of))
        assessment = assess(
            unknown, champion, context.get("peers"), catalogue=catalogue, withheld=OUT_OF_SCOPE, names=names
        )
    else:
        assessment = assess(
            now.reset_index(drop=True), champion, past=past, catalogue=catalogue, names=names, **context
        )
    return ScoredWeeks(assessment, past, active)


def champion_horizon(champion: Champion) -> int:
    """Return the champion's horizon in days. Without contracts, an order within it makes an account active."""
    horizons = (champion.bundles[target].manifest.horizon_days for target in TARGETS if target in champion.bundles)
    return next(horizons, DEFAULT_HORIZON_DAYS)


def newest_events(signals: OpenSignals, as_of: datetime) -> dict[str, datetime | None]:
    """Return the newest event of each feed.

    Interventions are left out, because a period without interventions does not make a feed stale.

    Parameters
    ----------
    signals : validated signals.
    as_of : only what was known before this instant counts.

    Returns
    -------
    dict of str to datetime or None
        UTC; None for a feed without events.
    """
    instant = as_of.astimezone(UTC).replace(tzinfo=None)
    newest: dict[str, datetime | None] = {}
    for name in event_tables():
        if signals.has(name) and name != "interventions":
            table = signals.tables[name]
            known = table.filter(known_before(table, ibis.literal(instant)))
            latest = known[current_tables()[name].at].max().to_pyarrow().as_py()
            newest[name] = None if latest is None else latest.replace(tzinfo=UTC)
    return newest


def complete_until(signals: OpenSignals, as_of: datetime, feeds: Mapping[str, datetime | None]) -> datetime:
    """Return the instant up to which the signals are complete, as known at ``as_of``.

    It is not later than the newest event, because signals that end long before ``as_of`` are not complete. Data that
    arrived later does not change it.

    Parameters
    ----------
    signals : validated signals.
    as_of : the instant of the snapshot.
    feeds : the newest known event of each table.
    """
    events = [newest for newest in feeds.values() if newest is not None]
    return min(signals.data_through, as_of, max(events, default=as_of))


def _try_writing(out: Path) -> None:
    """Check that the file can be written, before the scoring starts."""
    if out.is_dir():
        raise BadRequest(f"{out} is a folder", "a file", "pass the path of a file in it")
    trial = out.with_name(f".{uuid.uuid4().hex}{UNFINISHED}")
    write_file(trial, b"")
    trial.unlink(missing_ok=True)


def _not_scored(assessment: Assessment) -> list[str]:
    """Return a sentence for each reason why accounts have no probability, with the targets that it holds for."""
    targets: dict[tuple[str, int], list[str]] = {}
    for target in TARGETS:
        for status, accounts in sorted(Counter(assessment.target_scores[target].status).items()):
            if status != SCORED:
                targets.setdefault((status, accounts), []).append(target)
    return [
        f"{accounts:,} of {count_of(len(assessment.frame), 'account')} {verb_for(accounts, 'has', 'have')} no "
        f"probability of {' or '.join(names)}: {WHY_NOT_SCORED[status]}"
        for (status, accounts), names in targets.items()
    ]


def _notes(assessment: Assessment) -> list[str]:
    notes = list(filter(None, [uncertainty(assessment.open_questions)])) + _not_scored(assessment)
    if not assessment.champion.bundles and assessment.champion.rubric.name != SPREADSHEET_RUBRIC:
        notes.append("there is no champion yet, so only the health score is reported; `renewcast train` trains one")
    notes += [f"the unit of {column} seems to have changed: fix the feed first" for column in assessment.jumped]
    notes += [f"the newest {table} row is {days} days old" for table, days in assessment.stale.items()]
    return notes
