"""The part of the public Python API that scores: champions, scores, explanations, health, renewals, worklist and plays.

`renewcast` exports it. Users import it from there. Nothing here publishes: the service keeps answering from what
``renewcast score`` wrote last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import pandas as pd
from pydantic import BaseModel

from features.errors import BadRequest
from features.python_api import Address, Instant, Signals, to_instant
from features.signals.signals import OpenSignals
from features.utils.periods import forecast_period
from models.artifacts.champion import Champion
from models.artifacts.champion import load_champion as load
from models.artifacts.home_portfolio import require_portfolio
from models.home import Home, home_at
from models.predictions.account_lookup import find_account
from models.predictions.assessment import Assessment
from models.predictions.payload import account_answer, account_row
from models.predictions.portfolio_table import portfolio_rows
from models.predictions.table_export import plain_rows
from models.renewals.past_forecasts import FIGURES
from models.rules.intervention_effects import InterventionRecord
from models.rules.intervention_table import interventions_from_signals
from models.uplift.account_effects import EffectsFile, read_effects
from models.uplift.power import POWER
from serving.common.settings import current_settings
from serving.portfolio.rule_tables import health_board
from serving.renewals.forecast import forecast_renewals
from serving.renewals.inputs import inputs_from_signals
from serving.renewals.schemas import DueAccount
from serving.schemas.account_filter import AccountFilter
from serving.scoring.score_portfolio import assess_portfolio, champion_horizon
from serving.snapshots.account_attributes import AccountAttributes
from serving.snapshots.sidecars import accounts_document
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.store.database import Store
from serving.worklist.effects import effects_document
from serving.worklist.holdout import design_document, require_range
from serving.worklist.interventions import RecordedActions, read_recorded_until_next
from serving.worklist.rank import WorklistContext, build_worklist
from serving.worklist.schemas import TooLateAccount, TrialPlanResponse
from serving.worklist.table import WORKLIST_COLUMNS, worklist_frame


@dataclass(frozen=True)
class RenewalForecast:
    """The renewal forecast of one period. `renewals` returns it.

    Attributes
    ----------
    totals : pandas.DataFrame
        One row per figure of the accounts due: ``figure`` (such as ``renewed_arr``, ``grr``, ``nrr``), ``expected``,
        ``low`` and ``high`` (80% interval). Amounts are in currency a year, rates are shares (1 is 100%). Empty if
        nothing can be forecast; ``notes`` says why.
    accounts : pandas.DataFrame
        One row per account that is due or overdue, the largest expected loss first. The probabilities of churn,
        contraction, an unchanged contract (``kept_probability``) and expansion add up to 1. ``method`` is
        ``renewal_model`` or ``derivation``.
    notes : list of str
        What limits the forecast, and how many accounts the renewal model forecasts, or why there is none.
    """

    document: Mapping[str, Any]

    @property
    def totals(self) -> pd.DataFrame:
        """The figures of all accounts due, with 80% intervals."""
        whole = self.document["whole"]
        rows = [
            {
                "figure": name,
                "expected": figure["expected"],
                "low": figure["interval"][0],
                "high": figure["interval"][1],
            }
            for name in FIGURES
            if (figure := whole[name]) is not None
        ]
        return pd.DataFrame(rows, columns=["figure", "expected", "low", "high"])

    @property
    def accounts(self) -> pd.DataFrame:
        """The accounts that are due or overdue, the largest expected loss first."""
        return _table(self.document["accounts"], DueAccount)

    @property
    def notes(self) -> list[str]:
        """What limits the forecast."""
        return list(self.document["notes"])

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as ``renewcast renewals --json`` prints it."""
        return dict(self.document)

    def __repr__(self) -> str:
        period, as_of = self.document["period"], self.document["as_of"]
        return f"<RenewalForecast for {period} as of {as_of}, {self.document['whole']['accounts']:,} accounts due>"


@dataclass(frozen=True)
class Worklist:
    """This week's priorities. `worklist` returns it.

    Attributes
    ----------
    accounts : pandas.DataFrame
        One row per account to work, in order. The fields of the recommended play are in columns such as
        ``play_name``, ``play_act`` and ``play_due``.
    too_late : pandas.DataFrame
        Accounts whose renewal is too close for their play to be completed.
    reached_arr_at_risk : dict of str to float or None
        The ARR at risk (currency a year) that the same capacity covers in the order of this ``worklist``,
        ``by_health_score``, ``at_random``, and with capacity for ``everyone``.
    notes : list of str
        What limits the list.
    """

    document: Mapping[str, Any]

    @property
    def accounts(self) -> pd.DataFrame:
        """The accounts to work, in order."""
        frame = worklist_frame(self.document)
        return frame if len(frame) else pd.DataFrame(columns=list(WORKLIST_COLUMNS))

    @property
    def too_late(self) -> pd.DataFrame:
        """Accounts whose renewal is too close for their play to be completed."""
        return _table(self.document["too_late"], TooLateAccount)

    @property
    def reached_arr_at_risk(self) -> dict[str, float | None]:
        """The ARR at risk that the same capacity covers, by the order in which accounts are worked."""
        return dict(self.document["reached_arr_at_risk"])

    @property
    def notes(self) -> list[str]:
        """What limits the list."""
        return list(self.document["notes"])

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as ``renewcast worklist --json`` prints it."""
        return dict(self.document)

    def __repr__(self) -> str:
        accounts = len(self.document["accounts"])
        return f"<Worklist as of {self.document['as_of']}, {accounts} accounts, capacity {self.document['capacity']}>"


@dataclass(frozen=True)
class HoldoutDesign:
    """The design of a trial of plays. `design_holdout` returns it.

    Attributes
    ----------
    by_play : pandas.DataFrame
        One row for all plays together, then one per play: ``eligible`` accounts, their mean ``churn_probability``,
        the accounts ``required`` to detect the effect and how many of them are ``held_out``, the ``weeks`` that takes,
        the smallest ``detectable`` save rate with the accounts of today, and the ``cost`` in ARR (currency a year).
        Unknown is NaN.
    by_share : pandas.DataFrame
        The same for all plays together, one row per share of held-out accounts.
    """

    document: Mapping[str, Any]

    @property
    def by_play(self) -> pd.DataFrame:
        """What a trial takes, for all plays and by play."""
        return _table(self.document["by_play"], TrialPlanResponse)

    @property
    def by_share(self) -> pd.DataFrame:
        """What a trial of all plays takes, by share of held-out accounts."""
        return _table(self.document["by_share"], TrialPlanResponse)

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as ``renewcast holdout design --json`` prints it."""
        return dict(self.document)

    def __repr__(self) -> str:
        return f"<HoldoutDesign as of {self.document['as_of']}: {max(len(self.document['by_play']) - 1, 0)} plays>"


@dataclass(frozen=True)
class PlayEffects:
    """The measured effect of plays. `play_effects` returns it.

    Attributes
    ----------
    by_play : pandas.DataFrame
        One row per play that was held out: ``accounts`` and ``held_out_accounts`` with a known outcome, the ``uplift``
        (share of treated accounts that stay minus that of held-out ones) with its 95% interval ``uplift_low`` to
        ``uplift_high``, the smallest ``detectable`` uplift, ``why_no_effect``, the pooled ``save_rate``, and
        ``effect_source``: what the worklist uses (``account``, ``play``, ``all_plays`` or None). Unknown is NaN or
        None.
    save_rate : float or None
        The measured save rate of all plays.
    notes : list of str
        Why there are no effects per account.
    """

    document: Mapping[str, Any]

    @property
    def by_play(self) -> pd.DataFrame:
        """The effect of each play, and what the worklist uses."""
        columns = [
            *("play", "accounts", "held_out_accounts", "uplift", "uplift_low", "uplift_high", "detectable"),
            *("why_no_effect", "save_rate", "effect_source"),
        ]
        rows = [each | _uplift(each["effect"]) for each in self.document["interventions"]["by_play"]]
        return pd.DataFrame(rows, columns=columns)

    @property
    def save_rate(self) -> float | None:
        """The measured save rate of all plays; None if it is not measured."""
        value: float | None = self.document["save_rate"]["value"]
        return value

    @property
    def notes(self) -> list[str]:
        """Why there are no effects per account."""
        return list(self.document["notes"])

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as ``renewcast holdout effect --json`` prints it."""
        return dict(self.document)

    def __repr__(self) -> str:
        held_out = self.document["held_out_accounts"]
        return (
            f"<PlayEffects as of {self.document['as_of']}: {held_out} of {self.document['accounts']} accounts held out>"
        )


def _uplift(effect: Mapping[str, Any] | None) -> dict[str, Any]:
    if effect is None:
        return {}
    low, high = effect["interval"]
    return {"uplift": effect["uplift"], "uplift_low": low, "uplift_high": high, "detectable": effect["detectable"]}


def load_champion(*, home: Address | None = None) -> Champion:
    """Load the champion: the models that answer now, and the health score's rubric.

    Parameters
    ----------
    home : str or path-like, optional
        The home folder. By default the environment variable RENEWCAST_HOME, or ``.renewcast`` without it.

    Returns
    -------
    Champion
        With ``versions`` (by target; empty before the first promotion) and ``rubric``. Without a promoted model it
        holds the default rubric only.

    Raises
    ------
    RenewcastError
        If the champion's files are broken or belong to another portfolio.

    Examples
    --------
    >>> import renewcast
    >>> champion = renewcast.load_champion(home="home")
    >>> champion.rubric.name
    'five-dimensions'
    """
    return load(home_at(home))


def score(
    signals: Signals, as_of: Instant, *, home: Address | None = None, champion: Champion | None = None
) -> pd.DataFrame:
    """Score every active account as of a date.

    The rows are those that ``renewcast score`` writes. Nothing is published and no file is written.

    Parameters
    ----------
    signals : Signals
        The open source. It must be of the portfolio that the home belongs to.
    as_of : str, date, datetime or pandas.Timestamp
        Only what was known before this instant (UTC) counts.
    home : str or path-like, optional
        The home folder. By default the environment variable RENEWCAST_HOME, or ``.renewcast`` without it.
    champion : Champion, optional
        The models to score with, for example those of a `TrainingResult`. By default the champion of the home.

    Returns
    -------
    pandas.DataFrame
        One row per active account, sorted by ``account_id``. For churn and expansion: ``*_status``,
        ``*_probability`` with the interval ``*_low`` to ``*_high`` (float64, 0 to 1), ``*_risk_score`` (0 to 100) and
        ``*_band``; then ``health_score`` (0 to 100), ``health_band``, alerts, warnings, the recommended play, and
        ``reason_1`` to ``reason_5``, each with its ``_stability`` (the share of the ensemble's models that agree).
        ``churn_explained_note`` is given if there are fewer than two reasons. ``as_of`` is datetime64[us, UTC]. Unknown
        is NaN or None. Without a model the status is ``no_model``.

    Raises
    ------
    RenewcastError
        If no account is active, the signals are of another portfolio, or most of what the model relies on is unknown.

    Examples
    --------
    >>> import renewcast
    >>> with renewcast.open_signals("signals") as signals:
    ...     scores = renewcast.score(signals, "2026-09-30", home="home")
    >>> scores["account_id"].is_unique
    True
    >>> scores[["health_score", "churn_probability"]].dtypes.astype(str).unique().tolist()
    ['float64']
    """
    with _Portfolio(signals, as_of, home, champion) as portfolio:
        return portfolio_rows(portfolio.assessment)


def explain(
    signals: Signals,
    account_id: str,
    as_of: Instant,
    *,
    home: Address | None = None,
    champion: Champion | None = None,
) -> dict[str, Any]:
    """Explain one account: its probabilities, reasons, health score, alerts and plays.

    Parameters
    ----------
    signals : Signals
        The open source.
    account_id : str
        An account that is active at ``as_of``: its id, its name, or the beginning of its name.
    as_of : str, date, datetime or pandas.Timestamp
        Only what was known before this instant (UTC) counts.
    home : str or path-like, optional
        The home folder. By default the environment variable RENEWCAST_HOME, or ``.renewcast`` without it.
    champion : Champion, optional
        The models to explain. By default the champion of the home.

    Returns
    -------
    dict
        What ``renewcast health SIGNALS --account ACCOUNT --json`` prints: plain values, None where unknown. ``reasons``
        are those of the churn model; each has ``text`` and ``contribution_log_odds``. ``churn["explained"]`` holds the
        rest of the sum: base + reasons + rest = raw log-odds. ``breakdown`` shows the health score as a sum.

    Raises
    ------
    RenewcastError
        If the account is not active at ``as_of``, if several accounts can be meant, or for the reasons of `score`.

    Examples
    --------
    >>> import renewcast
    >>> with renewcast.open_signals("signals") as signals:
    ...     account = renewcast.score(signals, "2026-09-30", home="home").loc[0, "account_id"]
    ...     explanation = renewcast.explain(signals, account, "2026-09-30", home="home")
    >>> explanation["account_id"] == account, explanation["as_of"]
    (True, '2026-09-30')
    """
    with _Portfolio(signals, as_of, home, champion) as portfolio:
        assessment = portfolio.assessment
        account = find_account(account_id, assessment.known_names, assessment.places)
        parts = assessment.health.breakdown(account_row(assessment, account))
        return account_answer(assessment, account, scored_at=datetime.now(UTC)) | {"breakdown": plain_rows(parts)}


def health(
    signals: Signals,
    as_of: Instant,
    *,
    rubric: str | None = None,
    home: Address | None = None,
    champion: Champion | None = None,
) -> pd.DataFrame:
    """Compute the health score of every active account, next to what the model says.

    Parameters
    ----------
    signals : Signals
        The open source.
    as_of : str, date, datetime or pandas.Timestamp
        Only what was known before this instant (UTC) counts.
    rubric : str, optional
        The name of a rubric, or the path of a ``.toml`` file. By default the champion's.
    home : str or path-like, optional
        The home folder. By default the environment variable RENEWCAST_HOME, or ``.renewcast`` without it.
    champion : Champion, optional
        The models to compare with. By default the champion of the home.

    Returns
    -------
    pandas.DataFrame
        One row per account, the lowest score first: ``health_score`` (0 to 100, higher is better), ``health_band``,
        ``change_7d`` (points), ``coverage`` (share of the weight that had data), ``weakest`` dimension, the points of
        each dimension, ``churn_probability``, ``meant_churn`` (the churn rate that followed such scores in the past),
        ``agreement`` of model and health score, and alerts. Unknown is NaN or None.

    Raises
    ------
    RenewcastError
        If there is no such rubric, or for the reasons of `score`.

    Examples
    --------
    >>> import renewcast
    >>> with renewcast.open_signals("signals") as signals:
    ...     scores = renewcast.health(signals, "2026-09-30", rubric="five-dimensions", home="home")
    >>> scores["health_score"].dropna().is_monotonic_increasing
    True
    """
    with _Portfolio(signals, as_of, home, champion, rubric) as portfolio:
        return health_board(portfolio.assessment)


def renewals(
    signals: Signals,
    as_of: Instant,
    *,
    period: str | None = None,
    days: int | None = None,
    home: Address | None = None,
    champion: Champion | None = None,
) -> RenewalForecast:
    """Forecast the renewals of a period: the accounts due, and the ARR expected to be renewed, expanded and lost.

    Parameters
    ----------
    signals : Signals
        The open source. It must have subscriptions.
    as_of : str, date, datetime or pandas.Timestamp
        Only what was known before this instant (UTC) counts.
    period : str, optional
        A calendar quarter, such as ``"2026Q4"``; only the part after ``as_of`` counts.
    days : {30, 60, 90, 120}, optional
        The number of days to look ahead, if no ``period`` is given. 90 by default.
    home : str or path-like, optional
        The home folder. By default the environment variable RENEWCAST_HOME, or ``.renewcast`` without it.
    champion : Champion, optional
        The models to forecast with. By default the champion of the home.

    Returns
    -------
    RenewalForecast
        ``totals`` and ``accounts`` are DataFrames; ``as_dict()`` is what ``renewcast renewals --json`` prints.

    Raises
    ------
    RenewcastError
        If the period is over or unknown, the signals have no subscriptions, or for the reasons of `score`.

    Examples
    --------
    >>> import renewcast
    >>> with renewcast.open_signals("signals") as signals:
    ...     forecast = renewcast.renewals(signals, "2026-09-30", period="2026Q4", home="home")
    >>> forecast.totals.columns.tolist()
    ['figure', 'expected', 'low', 'high']
    """
    span = forecast_period(to_instant(as_of), period, days)
    with _Portfolio(signals, as_of, home, champion) as portfolio:
        inputs = inputs_from_signals(portfolio.known_signals, portfolio.as_of, portfolio.home)
        return RenewalForecast(forecast_renewals(portfolio.assessment, span, inputs))


def worklist(
    signals: Signals,
    as_of: Instant,
    *,
    capacity: int = 20,
    csm: str | None = None,
    save_rate: float | None = None,
    home: Address | None = None,
    champion: Champion | None = None,
) -> Worklist:
    """List the accounts to work this week, those with the most ARR at risk first.

    Parameters
    ----------
    signals : Signals
        The open source.
    as_of : str, date, datetime or pandas.Timestamp
        Only what was known before this instant (UTC) counts.
    capacity : int, default 20
        The number of accounts that the team can work on.
    csm : str, optional
        Only the accounts of this customer success manager.
    save_rate : float, optional
        The assumed share (0 to 1) of churning accounts that a play saves. A measured rate takes precedence.
    home : str or path-like, optional
        The home folder. By default the environment variable RENEWCAST_HOME, or ``.renewcast`` without it. Interventions
        and snoozes in its store take accounts off the list.
    champion : Champion, optional
        The models to rank with. By default the champion of the home.

    Returns
    -------
    Worklist
        ``accounts`` and ``too_late`` are DataFrames; ``as_dict()`` is what ``renewcast worklist --json`` prints.

    Raises
    ------
    RenewcastError
        If ``capacity`` or ``save_rate`` is out of range, no account has this ``csm``, or for the reasons of `score`.

    Examples
    --------
    >>> import renewcast
    >>> with renewcast.open_signals("signals") as signals:
    ...     week = renewcast.worklist(signals, "2026-09-30", capacity=3, home="home")
    >>> week.accounts["rank"].tolist()
    [1, 2, 3]
    """
    if capacity < 0:
        raise BadRequest(f"a capacity of {capacity} accounts", "0 or more")
    if save_rate is not None and not 0 <= save_rate <= 1:
        raise BadRequest(f"a save rate of {save_rate:g}", "a share from 0 to 1")
    with _Portfolio(signals, as_of, home, champion) as portfolio:
        team = portfolio.team()
        attributes = AccountAttributes.of(portfolio.assessment, {"accounts": team.people})
        selection = attributes.require(AccountFilter(csm=csm))
        return Worklist(build_worklist(portfolio.assessment, capacity, team, selection, save_rate))


def design_holdout(
    signals: Signals,
    as_of: Instant,
    *,
    save_rate: float = 0.3,
    share: float = 0.2,
    power: float = POWER,
    per_week: float | None = None,
    play: str | None = None,
    csm: str | None = None,
    home: Address | None = None,
    champion: Champion | None = None,
) -> HoldoutDesign:
    """Design a trial of plays: how many accounts and weeks it takes to measure their effect, and what it costs.

    The accounts are those of the worklist, with the churn probabilities of the model. Nothing is assigned;
    ``renewcast holdout assign`` does that.

    Parameters
    ----------
    signals : Signals
        The open source.
    as_of : str, date, datetime or pandas.Timestamp
        Only what was known before this instant (UTC) counts.
    save_rate : float, default 0.3
        The effect to detect: the share of churning accounts that a play saves, 0.01 to 1.
    share : float, default 0.2
        The share of accounts that are held out, 0.05 to 0.95.
    power : float, default 0.8
        The probability to detect the effect, 0.5 to 0.99.
    per_week : float, optional
        New accounts with a play per week. By default that of past interventions.
    play : str, optional
        Only accounts with this play.
    csm : str, optional
        Only the accounts of this customer success manager.
    home : str or path-like, optional
        The home folder. By default the environment variable RENEWCAST_HOME, or ``.renewcast`` without it.
    champion : Champion, optional
        The models to assess with. By default the champion of the home.

    Returns
    -------
    HoldoutDesign
        ``by_play`` and ``by_share`` are DataFrames; ``as_dict()`` is what ``renewcast holdout design --json`` prints.

    Raises
    ------
    RenewcastError
        If a setting is out of range, no account has this ``play`` or ``csm``, or for the reasons of `score`.

    Examples
    --------
    >>> import renewcast
    >>> with renewcast.open_signals("training-signals") as signals:
    ...     design = renewcast.design_holdout(signals, "2026-09-30", save_rate=0.4, home="home")
    >>> design.by_share["share"].tolist()
    [0.1, 0.2, 0.3, 0.5]
    """
    for name, value in (("save_rate", save_rate), ("share", share), ("power", power), ("per_week", per_week)):
        require_range(name, value)
    with _Portfolio(signals, as_of, home, champion) as portfolio:
        team = portfolio.team()
        return HoldoutDesign(design_document(portfolio.assessment, team, save_rate, share, power, per_week, play, csm))


def known_interventions(
    signals: Signals, as_of: Instant, home: Address | None, champion: Champion | None
) -> tuple[datetime, Home, Sequence[InterventionRecord]]:
    """Return the instant, the home, and the interventions known before it, for `renewcast.play_effects`."""
    with _Portfolio(signals, as_of, home, champion) as portfolio:
        return portfolio.as_of, portfolio.home, portfolio.team().interventions or ()


def play_effects_of(
    as_of: datetime, interventions: Sequence[InterventionRecord], effects: EffectsFile, notes: Sequence[str]
) -> PlayEffects:
    """Return the effect of plays with fitted effects per account, for `renewcast.play_effects`."""
    return PlayEffects(effects_document(as_of, interventions, effects, notes))


class _Portfolio:
    """The assessed portfolio of open signals at one instant; a context manager.

    The commands with the same names work in the same way: the signals must be of the portfolio of the home, and earlier
    publications and interventions of the home count.
    """

    def __init__(
        self,
        signals: Signals,
        as_of: Instant,
        home: Address | None,
        champion: Champion | None,
        rubric: str | None = None,
    ) -> None:
        self._signals = signals
        self._stack = ExitStack()
        self.as_of = to_instant(as_of)
        self.home: Home = home_at(home)
        if not self.home.root.exists():
            # Roll-ups of large feeds are stored there, readable by the owner only.
            self.home.ensure()
        champion = load(self.home) if champion is None else champion
        self.champion = champion if rubric is None else champion.with_rubric(rubric)

    def __enter__(self) -> _Portfolio:
        with ExitStack() as stack:
            self.known_signals: OpenSignals = stack.enter_context(self._signals.known_before(self.as_of))
            require_portfolio(self.home, self.known_signals)
            self.assessment: Assessment = assess_portfolio(self.known_signals, self.as_of, self.home, self.champion)[0]
            self._stack = stack.pop_all()
        return self

    def team(self) -> WorklistContext:
        """Return the people, the interventions and snoozes, and the stored effects of plays."""
        people = accounts_document(self.known_signals, self.as_of, champion_horizon(self.champion))["accounts"]
        recorded = _recorded(self.home, self.assessment.account_ids, self.as_of)
        return WorklistContext(
            people,
            [*interventions_from_signals(self.known_signals, self.as_of), *recorded.interventions],
            recorded.snoozed,
            read_effects(self.home.effects_file),
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _recorded(home: Home, account_ids: Sequence[str], as_of: datetime) -> RecordedActions:
    """Return the interventions and snoozes in the store. Reading does not create a store."""
    address = current_settings().store_address
    if address is None and not home.store_file.exists():
        return RecordedActions(as_of.date())
    return read_recorded_until_next(Store.of(home, address), SnapshotFiles(home), frozenset(account_ids), as_of)


def _table(rows: Iterable[Mapping[str, Any]], schema: type[BaseModel]) -> pd.DataFrame:
    """Return the rows as a DataFrame, which has the columns of the schema even without rows."""
    records = list(rows)
    return pd.DataFrame(records, columns=list(schema.model_fields) if not records else None)
