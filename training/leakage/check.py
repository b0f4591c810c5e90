"""Leak check: find snapshots that change with the future, and features that reveal the outcome.

- A few accounts are rebuilt from altered sources and compared bit for bit (`training.leakage.future_perturbation`,
  `training.leakage.snapshot_rebuild`).
- The labelled snapshots of all accounts are searched for features that separate the outcomes alone
  (`training.leakage.target_leakage`).
- Features that Python functions compute are rebuilt in three more ways (`training.leakage.function_checks`).
- The arrival of rows is analyzed (`training.leakage.late_arrivals`).
- Due renewals at earlier dates are compared with those at the end of the data (`training.leakage.due_renewals`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from features.catalogue.catalogue import CATALOGUE, Catalogue
from features.errors import InsufficientData
from features.signals.overwritten_contracts import leaking_contracts
from features.signals.signals import OpenSignals, read_signals
from features.sources.base import DUCKDB, Source
from features.sources.open_source import open_source
from features.utils.dates import Grid, to_iso
from features.utils.progress import Progress, no_progress, subprogress
from models.targets import TARGETS
from training.config import TrainConfig
from training.dataset.labelled_snapshots import LabelledSnapshots, label_snapshots
from training.leakage.account_sample import sampled_accounts, sampled_states, sampled_tables, spread_dates
from training.leakage.due_renewals import compare_due_shares
from training.leakage.function_checks import FUNCTION_CHECKS, function_catalogue, function_findings
from training.leakage.late_arrivals import LATE_DAYS, arrivals
from training.leakage.report import Check, CheckRun, LeakFinding, LeakReport
from training.leakage.snapshot_rebuild import CHANGES, rebuild_findings
from training.leakage.target_leakage import EVERY_DAYS, find_separating_features

CHECK_TEXTS: Mapping[Check, str] = {
    "future added": "rows dated or loaded at or after a date are added and altered",
    "future dropped": "everything at or after a date is dropped",
    "rows repeated": "rows are shuffled and sent again",
    "other accounts": "functions are computed for some accounts alone",
    "other ids": "functions are computed with other ids of accounts, users and events",
    "other dates": "functions are computed with all dates 28 years earlier",
    "separation": "no feature alone separates the outcomes",
    "due dates": "the share of accounts due is the same at earlier dates as at the end",
    "arrival": "rows dated before a churn that arrive after it",
}
"""Description of each check."""


def check_source_for_leaks(
    address: str | Path | Source,
    catalogue: Catalogue = CATALOGUE,
    config: TrainConfig | None = None,
    data_through: datetime | None = None,
    progress: Progress = no_progress,
    engine: str = DUCKDB,
) -> LeakReport:
    """Check a source for leaks, with the features of ``catalogue``.

    Parameters
    ----------
    address : the signals source, or an open one, whose connection is closed.
    catalogue : the features.
    config : the settings of the planned training; the seed chooses accounts and rows.
    data_through : nothing at or after this instant is read; by default everything.
    progress : progress callback.
    engine : the engine that reads an address: ``duckdb``, ``spark`` or ``spark://HOST:PORT``. The rebuilds run on
        DuckDB.

    Returns
    -------
    LeakReport

    Raises
    ------
    SignalsError
        If the source cannot be read or breaks the contract.
    """
    settings, began = config or TrainConfig(), time.perf_counter()
    source = address if isinstance(address, Source) else open_source(address, engine)
    signals = read_signals(source, data_through, progress=subprogress(progress, 0.0, 0.2))
    try:
        monthly = settings.model_copy(update={"every_days": EVERY_DAYS, "horizons": ()})
        prepared, lacking = None, ""
        try:
            prepared = label_snapshots(signals, monthly, subprogress(progress, 0.2, 0.5), catalogue)
        except InsufficientData as short:
            lacking = "; ".join(short.missing)
        return _check(_Subject(signals, catalogue, settings, prepared, lacking), subprogress(progress, 0.5, 1.0), began)
    finally:
        signals.close()


def check_snapshots_for_leaks(
    prepared: LabelledSnapshots, config: TrainConfig, progress: Progress = no_progress
) -> LeakReport:
    """Check labelled snapshots, and the signals from which they were built, for leaks.

    Parameters
    ----------
    prepared : the labelled snapshots that training will use.
    config : the settings of the training.
    progress : progress callback.

    Returns
    -------
    LeakReport
    """
    return _check(_Subject(prepared.signals, prepared.catalogue, config, prepared), progress, time.perf_counter())


@dataclass(frozen=True)
class _Subject:
    """What is checked: the signals with the features and settings of a training, and their labelled snapshots, or what
    is lacking for these."""

    signals: OpenSignals
    catalogue: Catalogue
    config: TrainConfig
    prepared: LabelledSnapshots | None
    lacking: str = ""


def _check(subject: _Subject, progress: Progress, began: float) -> LeakReport:
    signals, prepared, catalogue, config = subject.signals, subject.prepared, subject.catalogue, subject.config
    accounts, grid = _accounts(signals, prepared, config.seed), _dates(signals, prepared)
    progress(0.0, "choosing accounts to rebuild")
    tables = sampled_tables(signals, accounts)
    at = f"{len(accounts):,} accounts, {grid.n} dates from {to_iso(grid.first)} to {to_iso(grid.last)}"
    states = sampled_states(signals, accounts)
    findings = rebuild_findings(tables, grid, signals, catalogue, config, subprogress(progress, 0.05, 0.7), states)
    checks = [CheckRun(check, CHECK_TEXTS[check], at) for check in CHANGES]
    if len(functions := function_catalogue(catalogue)):
        findings += function_findings(tables, grid, signals, functions, config, subprogress(progress, 0.7, 0.8))
        checks += [CheckRun(check, CHECK_TEXTS[check], at) for check in FUNCTION_CHECKS]
    progress(0.8, "looking for features that reveal the outcome")
    for target in TARGETS:
        missing, where = subject.lacking, ""
        if prepared is not None:
            result = find_separating_features(prepared.frame, prepared.labels[target], catalogue, target)
            missing = result.lacking
            where = f"{result.rows:,} snapshots, {result.accounts_with:,} accounts with {target}"
            findings += result.findings
        checks.append(CheckRun("separation", CHECK_TEXTS["separation"], where, target, missing))
    progress(0.92, "comparing due renewals")
    grace = config.grace_days if signals.contractual else 0
    if signals.contractual:
        due, overwritten = (
            compare_due_shares(signals, config.horizon_days, grace, config.seed),
            leaking_contracts(signals),
        )
        findings += [due.finding(config.horizon_days)] if due.differs else []
        findings += [
            LeakFinding("due dates", f"{each.table}.{each.column}", str(replace(each, cure=""))) for each in overwritten
        ]
        where = f"{due.dates} dates and the end of the data"
        checks.append(CheckRun("due dates", CHECK_TEXTS["due dates"], where, None, "" if overwritten else due.lacking))
    progress(0.95, "analyzing late rows")
    tables_arrivals = arrivals(signals, config.horizon_days, grace, accounts) if signals.contractual else []
    findings += [each.finding(config.horizon_days) for each in tables_arrivals if each.backdated]
    late = sum(each.late_share > 0 for each in tables_arrivals)
    where = f"{len(tables_arrivals)} tables, {late} of them with rows that arrive {LATE_DAYS} days late or more"
    missing = "" if signals.contractual else "without contracts, a churn has no exact date"
    checks.append(CheckRun("arrival", CHECK_TEXTS["arrival"], where if tables_arrivals else "", None, missing))
    progress(1.0, "leak check finished")
    return LeakReport(
        origin=signals.origin,
        data_through=signals.data_through,
        catalogue_version=catalogue.version,
        accounts=len(accounts),
        dates=tuple(grid.as_ofs),
        checks=tuple(checks),
        findings=tuple(findings),
        arrivals=tuple(arrivals_of_table.as_dict() for arrivals_of_table in tables_arrivals),
        seconds=time.perf_counter() - began,
        open_questions=signals.open_questions,
    )


def _accounts(signals: OpenSignals, prepared: LabelledSnapshots | None, seed: int) -> list[str]:
    """Return the accounts to rebuild, which include churned ones."""
    if prepared is None:
        accounts = signals.tables["accounts"].account_id.to_pyarrow().to_pylist()
        return sampled_accounts(accounts, (), seed)
    ids = prepared.frame["account_id"]
    return sampled_accounts(ids.unique(), ids[(prepared.labels["churn"] == 1).to_numpy()].unique(), seed)


def _dates(signals: OpenSignals, prepared: LabelledSnapshots | None) -> Grid:
    """Return the dates to rebuild: from the first labelled one to the end of the data."""
    if prepared is not None:
        return spread_dates(prepared.grid.first, signals.data_through)
    table, at = ("subscriptions", "started_at") if signals.contractual else ("orders", "occurred_at")
    start = signals.tables[table][at].min().to_pyarrow().as_py()
    last = signals.data_through
    return spread_dates(start.replace(tzinfo=last.tzinfo) if start else last, last)
