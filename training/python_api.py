"""The part of the public Python API that validates, labels and trains.

`renewcast` exports it. Users import it from there.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pandas.api.types import is_datetime64_any_dtype

from features.errors import BadRequest
from features.python_api import Address, Instant, Signals, to_instant
from features.signals.validation import Finding, Violation
from features.sources.base import DUCKDB
from features.sources.open_source import open_source
from models.artifacts.bundle import load_bundle
from models.artifacts.champion import Champion
from models.health.rubric import load_rubric
from models.health.rubric_versions import load_rubric_history
from models.home import Home, home_at
from models.targets import TARGETS
from training.config import read_config
from training.dataset.labels import label
from training.source_report.dropped_rows import DroppedRows
from training.source_report.portfolio_history import PortfolioWeek
from training.source_report.report import SourceReport, report_on_source
from training.source_report.table_readings import TableReading

if TYPE_CHECKING:
    # `renewcast check` imports this module and fits nothing, so nothing that fits models is imported here.
    from training.pipeline.report import TrainReport


@dataclass(frozen=True)
class CheckResult:
    """The result of a check of a signals source. `check` returns it.

    Attributes
    ----------
    ok : bool
        Whether the source meets the data contract.
    errors : pandas.DataFrame
        Violations of the contract: ``table``, ``column``, ``problem``, ``expected``, ``rows`` (their number) and
        ``positions`` (the first row positions, from 1).
    findings : pandas.DataFrame
        What violates no rule but needs attention: ``table``, ``column``, ``rows``, ``what``, ``cure``, ``positions``,
        ``ignored`` (whether the rows are left out).
    feeds : pandas.DataFrame
        One row per table: ``rows``, ``first`` and ``last`` (datetime64[us, UTC]), ``silent_days``, ``stale``,
        ``accounts_share`` (0 to 1).
    ready : tuple of str
        The targets for which there is enough data to train a model.
    summary : str
        The verdict in one sentence.
    portfolio : str
        The line to compare with your own figures: active accounts, ARR and renewals at the end of the data. Empty if
        the source violates the contract.
    tables : pandas.DataFrame
        What was read: ``table``, ``place``, ``rows``, ``used`` and ``absent`` (tuples of columns), ``ignored``.
    dropped : pandas.DataFrame
        The rows that do not count: ``table``, ``rows``, ``reason``.
    history : pandas.DataFrame
        One row per week: ``as_of`` (datetime64[us, UTC]), ``accounts`` that were active, and their ``arr``.
    missing_signals : pandas.DataFrame
        The lacking signals that matter most in models elsewhere, the most valuable first: ``signal``, ``words``,
        ``worth``, ``cure``.
    open_questions : tuple of str
        What the mapping has not answered. Until it is, figures are uncertain.
    """

    source_report: SourceReport

    @property
    def ok(self) -> bool:
        """Whether the source meets the data contract."""
        return self.source_report.report.ok

    @property
    def errors(self) -> pd.DataFrame:
        """The violations of the data contract."""
        rows = [vars(each) for each in self.source_report.report.errors]
        return pd.DataFrame(rows, columns=list(Violation.__dataclass_fields__))

    @property
    def findings(self) -> pd.DataFrame:
        """What violates no rule but needs attention."""
        rows = [vars(each) for each in self.source_report.report.findings]
        return pd.DataFrame(rows, columns=list(Finding.__dataclass_fields__))

    @property
    def portfolio(self) -> str:
        """The line to compare with your own figures."""
        summary = self.source_report.portfolio
        return "" if summary is None else summary.line

    @property
    def tables(self) -> pd.DataFrame:
        """What was read of each table."""
        rows = [vars(each) for each in self.source_report.readings]
        return pd.DataFrame(rows, columns=list(TableReading.__dataclass_fields__))

    @property
    def dropped(self) -> pd.DataFrame:
        """The rows that do not count."""
        rows = [each.as_dict() for each in self.source_report.dropped]
        return pd.DataFrame(rows, columns=list(DroppedRows.__dataclass_fields__))

    @property
    def history(self) -> pd.DataFrame:
        """Active accounts and their ARR by week."""
        rows = [vars(each) for each in self.source_report.history]
        frame = pd.DataFrame(rows, columns=list(PortfolioWeek.__dataclass_fields__))
        return frame.assign(as_of=pd.to_datetime(frame["as_of"], utc=True).dt.as_unit("us"))

    @property
    def missing_signals(self) -> pd.DataFrame:
        """The lacking signals that matter most in models elsewhere."""
        names = ["signal", "words", "worth", "cure"]
        return pd.DataFrame([each.as_dict() for each in self.source_report.missing], columns=names)

    @property
    def open_questions(self) -> tuple[str, ...]:
        """What the mapping has not answered."""
        return self.source_report.open_questions

    def html(self) -> str:
        """Return the report as one HTML document with pictures, without scripts or external resources."""
        from training.source_report.html.render import render

        return render(self.source_report)

    @property
    def feeds(self) -> pd.DataFrame:
        """One row per table: rows, span, silence and coverage."""
        names = ("table", "rows", "first", "last", "silent_days", "stale", "accounts_share")
        rows = [{name: getattr(feed, name) for name in names} for feed in self.source_report.feeds.tables.values()]
        frame = pd.DataFrame(rows, columns=list(names))
        return frame.assign(**{at: pd.to_datetime(frame[at], utc=True).dt.as_unit("us") for at in ("first", "last")})

    @property
    def ready(self) -> tuple[str, ...]:
        """The targets for which there is enough data to train a model."""
        return tuple(self.source_report.verdict.ready)

    @property
    def summary(self) -> str:
        """The verdict in one sentence."""
        return self.source_report.verdict.summary

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as ``renewcast check --json`` prints it."""
        return self.source_report.as_dict()

    def __repr__(self) -> str:
        return f"<CheckResult of {self.source_report.report.origin!r}: {self.summary}>"


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training. `train` returns it.

    Attributes
    ----------
    promoted : tuple of str
        The targets whose new model is now the champion.
    versions : dict of str to str
        The registered version of each target that was trained.
    champion : Champion
        The models that were trained, whether they were promoted or not, with the rubric they were compared with.
        `score` and the other functions take it.
    metrics : pandas.DataFrame
        Index ``target``, ``candidate``, ``metric``; columns ``value``, ``low`` and ``high`` (95% interval, accounts
        resampled) on the predicted dates. NaN where undefined. The released model is the candidate ``blend``, or the
        one with the name of the registered estimator.
    due : pandas.DataFrame
        The same as ``metrics``, among the accounts whose renewal is within the horizon. Empty if there are too few.
    gates : pandas.DataFrame
        The promotion gates: ``target``, ``name``, ``passed`` (bool) and ``words``.
    newest_snapshots : dict of str to dict
        By target, the date of the newest training snapshot by horizon in days.
    """

    report: TrainReport
    home: Home

    @property
    def promoted(self) -> tuple[str, ...]:
        """The targets whose new model is now the champion."""
        return tuple(self.report.promoted)

    @property
    def versions(self) -> dict[str, str]:
        """The registered version of each target that was trained."""
        return {str(target): model.version for target, model in self.report.models.items()}

    @cached_property
    def champion(self) -> Champion:
        """The models that were trained, whether they were promoted or not."""
        models = self.report.models
        bundles = {target: load_bundle(models[target].folder) for target in TARGETS if target in models}
        rubric = next((bundle.rubric for bundle in bundles.values()), None) or load_rubric(self.report.config.rubric)
        return Champion(bundles, rubric, load_rubric_history(self.home))

    @property
    def metrics(self) -> pd.DataFrame:
        """Each candidate's metrics on the predicted dates, with 95% intervals."""
        return self._metrics("judgement")

    @property
    def due(self) -> pd.DataFrame:
        """The metrics among the accounts whose renewal is within the horizon."""
        return self._metrics("due")

    @property
    def newest_snapshots(self) -> dict[str, dict[int, pd.Timestamp]]:
        """By target, the date of the newest training snapshot by horizon in days."""
        return {
            str(target): {int(days): pd.Timestamp(at, tz="UTC") for days, at in result["newest_snapshots"].items()}
            for target, result in self._trained.items()
        }

    def _metrics(self, part: str) -> pd.DataFrame:
        rows = [
            {"target": target, "candidate": row["candidate"], "metric": metric["name"]}
            | {name: metric[name] for name in ("value", "low", "high")}
            for target, result in self._trained.items()
            for row in (result[part] or {"rows": ()})["rows"]
            for metric in row["metrics"]
        ]
        keys, figures = ["target", "candidate", "metric"], ["value", "low", "high"]
        return pd.DataFrame(rows, columns=keys + figures).set_index(keys).astype("float64")

    @property
    def gates(self) -> pd.DataFrame:
        """The promotion gates, and whether each model passed them."""
        names = ("name", "passed", "words")
        rows = [
            {"target": target} | {name: gate[name] for name in names}
            for target, result in self._trained.items()
            for gate in result["gates"]
        ]
        return pd.DataFrame(rows, columns=["target", *names])

    def test_predictions(self, target: str = "churn") -> pd.DataFrame:
        """Return the predictions of the candidates for the test rows, with the outcomes.

        Parameters
        ----------
        target : {"churn", "expansion"}
            The target.

        Returns
        -------
        pandas.DataFrame
            One row per account and predicted date: ``account_id``, ``as_of`` (datetime64[us, UTC]), ``segment``,
            ``arr`` (currency a year), ``outcome`` (0.0 or 1.0), and the probability (0 to 1) by each candidate that
            gives one, in a column of its name; the released model is ``blend`` or the registered estimator.

        Raises
        ------
        RenewcastError
            If the target was not trained.
        """
        tested = next((one.tested for name, one in self.report.candidates.items() if name == target), None)
        if tested is None:
            raise BadRequest(f"no model of {target} was trained", f"one of {', '.join(self.versions)}")
        return tested.frame()

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as ``renewcast train --json`` prints it."""
        return self.report.as_dict()

    @property
    def _trained(self) -> dict[str, Any]:
        """The part of the report about each trained target."""
        return {target: result for target, result in self.as_dict()["targets"].items() if "judgement" in result}

    def __repr__(self) -> str:
        promoted = ", ".join(self.promoted) or "nothing"
        versions = ", ".join(f"{target} {version}" for target, version in self.versions.items())
        return f"<TrainingResult: {versions}; promoted {promoted}>"


def simulate(
    folder: Address,
    *,
    accounts: int = 500,
    weeks: int = 156,
    seed: int = 0,
    preset: str = "mixed-b2b",
    noise: float = 0.0,
    signal: float = 1.0,
    drift: float = 0.0,
    trend: float = 0.0,
    monthly_share: float | None = None,
    annual_churn: float | None = None,
    held_out_share: float = 0.25,
    play_effects: Mapping[str, float] | None = None,
    additions: Collection[str] = (),
) -> Path:
    """Generate a synthetic B2B portfolio, to try things out or to evaluate a method against known probabilities.

    Parameters
    ----------
    folder : str or path-like
        The folder to write the tables to. ``FOLDER-truth.parquet`` next to it holds the true probabilities.
    accounts : int, default 500
        The number of accounts, at least 20.
    weeks : int, default 156
        The length of the history, at least 26. It ends on 2026-09-30.
    seed : int, default 0
        The same seed gives the same files.
    preset : str, default "mixed-b2b"
        The market: ``"mixed-b2b"``, ``"enterprise-annual"``, ``"smb-monthly"``, ``"usage-based"`` or ``"orders"``.
    noise : float, default 0.0
        The share of the variance of the propensities to churn and to expand that no signal shows, 0 to 1.
    signal : float, default 1.0
        The effect of the signals: 1 is full. With 0 all accounts have the same probabilities at all times.
    drift : float, default 0.0
        The change per year of what drives churn, 0 to 1: from usage and relationship to people, competitors and
        budgets.
    trend : float, default 0.0
        The increase per year of the log-odds of churn, -1 to 1.
    monthly_share : float, optional
        The share of monthly contracts, 0 to 1. By default that of the preset.
    annual_churn : float, optional
        The share of the accounts that leave in a year, 0.01 to 0.9. By default that of the preset.
    held_out_share : float, default 0.25
        The share of plays that are held out at random, 0 to 1.
    play_effects : mapping, optional
        By play, the share of the churn by choice that it prevents in the quarter after it starts, 0 to 1; plays that
        are not named have no effect. By default plays improve the hidden state of accounts.
    additions : collection of str, optional
        Optional parts: ``"products"`` (the products of subscriptions and usage), ``"parents"`` (parent companies),
        ``"pulse"`` (judgments of CSMs), ``"costs"`` (acquisition costs), ``"notices"`` (notices of termination),
        ``"statuses"`` (trials and pauses of contracts) and ``"efforts"`` (answers to surveys of customer effort). They
        change no other value.

    Returns
    -------
    pathlib.Path
        The folder, which `open_signals` reads.

    Raises
    ------
    RenewcastError
        If a number is out of range, the preset is unknown, or the folder holds something else.

    Examples
    --------
    >>> import renewcast
    >>> folder = renewcast.simulate("synthetic", accounts=20, weeks=26, seed=1)
    >>> folder.name
    'synthetic'
    """
    from training.simulation import MarketOptions
    from training.simulation import simulate as generate

    options = MarketOptions(
        preset=preset,
        noise=noise,
        signal=signal,
        drift=drift,
        trend=trend,
        monthly_share=monthly_share,
        annual_churn=annual_churn,
        held_out_share=held_out_share,
        play_effects=play_effects,
    )
    return generate(Path(folder), accounts, weeks, seed, options=options, additions=additions).folder


def check(source: Address, *, data_through: Instant | None = None, engine: str = DUCKDB) -> CheckResult:
    """Validate a signals source, and report whether there is enough data to train on.

    Parameters
    ----------
    source : str or path-like
        Any source that `open_signals` accepts.
    data_through : str, date, datetime or pandas.Timestamp, optional
        Nothing at or after this instant (UTC) is read. By default, everything.
    engine : str, default "duckdb"
        See `open_signals`.

    Returns
    -------
    CheckResult
        A source that violates the data contract does not raise: ``ok`` is False and ``errors`` lists the problems.

    Raises
    ------
    RenewcastError
        If there is no readable source at that address.

    Examples
    --------
    >>> import renewcast
    >>> result = renewcast.check("signals")
    >>> result.ok, len(result.errors)
    (True, 0)
    >>> result.feeds.set_index("table").loc["accounts", "rows"]
    np.int64(30)
    """
    through = None if data_through is None else to_instant(data_through)
    return CheckResult(report_on_source(open_source(os.fspath(source), engine), through))


def labels(signals: Signals, snapshots: pd.DataFrame, *, horizon_days: int = 90, grace_days: int = 30) -> pd.DataFrame:
    """Return the outcome of each account after each snapshot.

    Labels look ahead: from ``as_of`` until ``as_of`` + ``horizon_days``. Never join them to features of a later date.

    Parameters
    ----------
    signals : Signals
        The open source.
    snapshots : pandas.DataFrame
        One row per account and date, with the columns ``account_id`` and ``as_of`` (a zone-less ``as_of`` is UTC); for
        example the result of `snapshot`.
    horizon_days : int, default 90
        The length of the window, in days.
    grace_days : int, default 30
        A new subscription within this number of days undoes a churn. Orders have no grace.

    Returns
    -------
    pandas.DataFrame
        One row per row of ``snapshots``, in the same order: ``account_id``, ``as_of``, then ``churn``, ``expansion``
        and ``contraction`` (float64: 1.0 yes, 0.0 no, NaN not yet known), ``churn_kind``
        ("voluntary" or "involuntary"), ``expansion_kind``, ``arr`` (at ``as_of``, currency a year) and ``active``
        (bool).

    Raises
    ------
    RenewcastError
        If a column is missing, an ``as_of`` is missing or is not a date, a number of days is out of range, or
        ``signals`` is closed.

    Examples
    --------
    >>> import renewcast
    >>> with renewcast.open_signals("signals") as signals:
    ...     past = renewcast.snapshot(signals, "2026-04-01")
    ...     outcomes = renewcast.labels(signals, past)
    >>> outcomes["churn"].isin([0.0, 1.0]).all()
    np.True_
    >>> len(outcomes) == len(past)
    True
    """
    if "as_of" in snapshots.columns and not is_datetime64_any_dtype(snapshots["as_of"]):
        as_of = pd.to_datetime([to_instant(value) for value in snapshots["as_of"]], utc=True)
        snapshots = snapshots.assign(as_of=as_of)
    with signals.exclusive() as opened:
        return label(opened, snapshots, horizon_days, grace_days)


def train_signals(
    signals: Signals,
    home: Address | None,
    config: Address | Mapping[str, object] | None,
    portfolio: str | None,
) -> TrainingResult:
    """Train on the source of ``signals`` up to their ``data_through``; see `renewcast.train`."""
    from training.pipeline.train import train
    from training.registry.mlflow_tracking import restored_environment

    if isinstance(config, Mapping):
        settings = read_config(None, **{str(name): value for name, value in config.items()})
    else:
        settings = read_config(None if config is None else Path(config))
    place = home_at(home)
    with restored_environment("MLFLOW_"):
        report = train(signals.address, place, settings, signals.cutoff, engine=signals.engine, portfolio=portfolio)
    # Libraries write in the home with the modes of the user's umask; the home is its owner's only.
    place.ensure()
    return TrainingResult(report, place)
