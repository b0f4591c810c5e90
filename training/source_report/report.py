"""The report on a source: what was read, matched and left out, what it shows, what is missing, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from features.custom.current_catalogue import current_catalogue
from features.feed_health.feed_health import Feeds, feed_health
from features.revenue.portfolio_summary import PortfolioSummary, active_at_end, portfolio_summary
from features.signals.signals import OpenSignals, read_signals
from features.signals.validation import CheckReport
from features.signals.validation import check_source as validate
from features.snapshots.snapshot import snapshot
from features.sources.base import Source
from features.utils.dates import Grid
from features.utils.progress import Progress, no_progress, subprogress
from models.health.rubric_names import DEFAULT_RUBRIC, SPREADSHEET_RUBRIC
from models.health.scored_accounts import score_instead
from training.config import TrainConfig
from training.dataset.data_verdict import Verdict, broken_contract_verdict, verdict
from training.dataset.sufficiency_check import SufficiencyReport, count_sufficiency
from training.source_report.account_coverage import AccountCoverage, account_coverage
from training.source_report.dropped_rows import DroppedRows, dropped_rows
from training.source_report.missing_signals import MissingSignal, missing_signals
from training.source_report.portfolio_history import PortfolioWeek, portfolio_history
from training.source_report.seat_use import seat_findings
from training.source_report.signal_values import signal_values
from training.source_report.table_readings import TableReading, table_readings

if TYPE_CHECKING:
    import pandas as pd

OTHER_COLUMNS = "columns not in the contract"
"""The words of the notes about such columns."""


@dataclass(frozen=True)
class SourceReport:
    """The report on a source.

    Parameters
    ----------
    report : the contract violations and findings.
    feeds : what each feed contains.
    enough : the data for training; None if the source violates the contract, and so are the next four.
    verdict : the verdict on the source.
    readings : what was read of each table.
    dropped : the rows that do not count.
    portfolio : the active accounts at the end of the data.
    coverage : the accounts that each feed describes.
    history : active accounts and ARR by week.
    missing : the lacking signals that matter most elsewhere.
    open_questions : what the mapping has not answered, so that accounts, revenue or renewals are uncertain.
    """

    report: CheckReport
    feeds: Feeds
    enough: SufficiencyReport | None
    verdict: Verdict
    readings: tuple[TableReading, ...] = ()
    dropped: tuple[DroppedRows, ...] = ()
    portfolio: PortfolioSummary | None = None
    coverage: tuple[AccountCoverage, ...] = ()
    history: tuple[PortfolioWeek, ...] = ()
    missing: tuple[MissingSignal, ...] = ()
    open_questions: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """What a mapping did, and other notes on reading; columns outside the contract are in the readings."""
        return [note for note in self.report.notes if OTHER_COLUMNS not in note]

    @property
    def uncounted_repeats(self) -> list[str]:
        """The large tables whose repeated rows were not counted."""
        tables = self.feeds.tables.values()
        return [feed.table for feed in tables if self.report.ok and feed.rows and feed.repeated_share is None]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        enough, values = self.enough, signal_values()
        timeline = {
            name: [{"week": week.isoformat(), "rows": rows} for week, rows in feed.weekly_rows]
            for name, feed in self.feeds.tables.items()
        }
        return {
            **self.report.as_dict(),
            "open_questions": list(self.open_questions),
            "tables": [each.as_dict() for each in self.readings],
            "dropped": [each.as_dict() for each in self.dropped],
            "coverage": [each.as_dict() for each in self.coverage],
            "feeds": self.feeds.as_dict(),
            "timeline": timeline,
            "history": [each.as_dict() for each in self.history],
            "sufficiency": {target: fact.as_dict() for target, fact in enough.facts.items()} if enough else {},
            "horizons": [horizon.as_dict() for horizon in enough.horizons] if enough else [],
            "missing_signals": [each.as_dict() for each in self.missing],
            "missing_signals_measured": {"date": values.date, "about": values.about},
            "verdict": self.verdict.as_dict(),
            "portfolio": None if self.portfolio is None else self.portfolio.as_dict(),
        }


def report_on_source(
    source: Source, data_through: datetime | None = None, progress: Progress = no_progress
) -> SourceReport:
    """Read a source and report on it. Its connection is closed if it meets the contract.

    Parameters
    ----------
    source : the source.
    data_through : nothing at or after this instant is read; None for everything.
    progress : called with the share done.
    """
    report = validate(source, data_through)
    progress(0.2, "checking the feeds")
    feeds = feed_health(source, data_through)
    readings, config = table_readings(source, report.rows), TrainConfig()
    if not report.ok:
        broken = broken_contract_verdict(len(report.errors), config.horizon_days)
        dropped = dropped_rows(report, feeds)
        return SourceReport(report, feeds, None, broken, readings, dropped, open_questions=source.open_questions)
    signals = read_signals(source, data_through, progress=subprogress(progress, 0.4, 0.6))
    try:
        enough = count_sufficiency(signals, config, subprogress(progress, 0.6, 0.9))
        progress(0.9, "summarizing the portfolio")
        active = active_at_end(signals)
        portfolio = portfolio_summary(signals, active, source.open_questions)
        coverage = account_coverage(signals, active["account_id"].tolist())
        history = portfolio_history(signals)
        accounts = _end_frame(signals)
        instead = score_instead(accounts, _rubric(source)) if _lacks_outcomes(enough) else ""
    finally:
        signals.close()
    feeds = feeds.with_distinct_rows(enough.row_counts)
    report = replace(report, findings=(*report.findings, *enough.findings, *seat_findings(accounts)))
    return SourceReport(
        report,
        feeds,
        enough,
        verdict(enough, feeds, source.open_questions, instead),
        readings,
        dropped_rows(report, feeds),
        portfolio,
        coverage,
        history,
        missing_signals(feeds, readings, source.records, source.places),
        source.open_questions,
    )


def _lacks_outcomes(enough: SufficiencyReport) -> bool:
    return not enough.overwritten and any(counts.missing for counts in enough.requested.targets.values())


def _end_frame(signals: OpenSignals) -> pd.DataFrame:
    """Return the features of the active accounts at the end of the data; rows at exactly the end count."""
    end = signals.data_through.replace(microsecond=0) + timedelta(seconds=1)
    return snapshot(signals, Grid.single(end), catalogue=current_catalogue())


def _rubric(source: Source) -> str:
    return DEFAULT_RUBRIC if source.states is None else SPREADSHEET_RUBRIC
