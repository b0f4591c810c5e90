"""Applying the rules to a portfolio: health and its history, stages, alerts, warnings, onboarding, expansion, plays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import pandas as pd

from features.utils.arrays import Floats, Texts
from models.health.rubric import INSUFFICIENT, HealthScores, Rubric
from models.peer_groups.frame_columns import number_column
from models.peer_groups.peers import Peers
from models.peer_groups.percentiles import ComparableAccounts
from models.peer_groups.rule_files import read_rules
from models.peer_groups.segments import ARR_FEATURE, segments_file
from models.rules.alerts import Alert, AlertsFile, RenewalTerms, find_alerts, route_alerts
from models.rules.early_warnings import RENEWAL, AccountWarning, WarningsFile, find_warnings
from models.rules.expansion import ExpansionFile, ExpansionReadiness, assess_expansion
from models.rules.history import AccountTable, PortfolioHistory
from models.rules.lifecycle import LifecycleFile, lifecycle_stages
from models.rules.onboarding import OnboardingFile, OnboardingStatus, onboarding_status
from models.rules.playbook import (
    ExecutiveAssignments,
    ModelView,
    OpenPlays,
    Playbook,
    PlaybookContext,
    PlaybookInputs,
    decide_plays,
)
from models.rules.plays import EXECUTIVES, AccountPlay, PlaysFile

TERM = "contract.term_days"
RISK_COLUMN = "churn_risk_score"
"""Column in earlier rows of a history: the risk score of the churn model at that time, 0 to 100, if available."""


@dataclass(frozen=True)
class RuleResults:
    """The results of the rules for n accounts at one date, in the order of account_id.

    Parameters
    ----------
    health : the health scores at the date.
    dates : the d dates of the history, in order; the last one is the assessed date.
    score, band : the health score (NaN if unknown) and its band at each date, by the rubric of the assessed date, so
        that dates are comparable, shape (n, d).
    reported_score, reported_band : the same by the version of the rubric in force at each date, as reported then.
    segments : the segment of each account, None if unknown, shape (n,).
    stages : the stage of each account in its lifecycle, None if unknown, shape (n,).
    alerts, warnings, onboarding : the results for each account.
    expansion : the readiness for expansion.
    playbook : the play of each account, None without a reason to act, and the proposed expansions.
    versions : the version of each rule file.
    """

    health: HealthScores
    dates: tuple[pd.Timestamp, ...]
    score: Floats
    band: AccountTable
    reported_score: Floats
    reported_band: AccountTable
    segments: Texts
    stages: Texts
    alerts: tuple[tuple[Alert, ...], ...]
    warnings: tuple[tuple[AccountWarning, ...], ...]
    onboarding: tuple[OnboardingStatus, ...]
    expansion: ExpansionReadiness
    playbook: Playbook
    versions: Mapping[str, str]

    @property
    def plays(self) -> tuple[AccountPlay | None, ...]:
        """The play of each account, None without a reason to act."""
        return self.playbook.plays

    def plays_of(self, row: int) -> tuple[AccountPlay, ...]:
        """Return all plays of one account, the main one first."""
        play = self.plays[row]
        return () if play is None else (play, *self.playbook.further[row])

    @cached_property
    def change_7d(self) -> Floats:
        """The change of the score since about a week before, in points; NaN if unknown, shape (n,)."""
        back = [(self.dates[-1] - date) / pd.Timedelta(days=1) for date in self.dates]
        near = [i for i, days in enumerate(back) if 6 <= days <= 8]
        if not near:
            return np.full(len(self.score), np.nan)
        change: Floats = np.round(self.score[:, -1] - self.score[:, near[-1]], 1)
        return change

    @cached_property
    def weakest(self) -> Texts:
        """Return the dimension with the fewest points, None without a score, shape (n,)."""
        return _weakest(self.health)

    @cached_property
    def touch(self) -> tuple[str | None, ...]:
        """The touch model of each account, by segment."""
        how = {segment.name: segment.touch for segment in segments_file().segments}
        return tuple(how.get(name) for name in self.segments)


def history_features(rubric: Rubric) -> tuple[str, ...]:
    """Return the features whose earlier values the rules need: those of the rubric, the warnings and the alerts."""
    signals = (signal.feature for _, signal in rubric.signals)
    warning_features = (feature for _, feature in read_rules("warnings", WarningsFile).used())
    return tuple(dict.fromkeys((ARR_FEATURE, RENEWAL, TERM, *signals, *warning_features)))


def apply_rules(
    history: PortfolioHistory,
    rubric: Rubric,
    peers: Peers | None = None,
    risk: Floats | None = None,
    rubric_at: Callable[[datetime], Rubric] | None = None,
    view: ModelView | None = None,
    executives_from: float | None = None,
    open_plays: OpenPlays | None = None,
    assignments: ExecutiveAssignments | None = None,
) -> RuleResults:
    """Apply the rules in force to every account of the last date.

    Parameters
    ----------
    history : the portfolio at several dates; with one date there are no changes, and noisy signs are not confirmed.
    rubric : the health score.
    peers : the accounts to compare with, for single accounts; without it the rows of a date are a whole portfolio.
    risk : the risk score of the churn model at the last date, 0 to 100, NaN if there is none, shape (n,).
    rubric_at : returns the version of the rubric in force at an earlier date; by default ``rubric`` at all dates.
        Alerts and changes use one version for all dates, since new weights are not a change of an account.
    view : the results of the models at the last date; without it plays depend on the rules alone.
    executives_from : for single accounts (``peers``), see `models.rules.playbook.PlaybookContext`.
    open_plays : plays that were published before and are not done; their first due date applies.
    assignments : plays that were assigned to executives before, see `models.rules.playbook.PlaybookContext`.

    Raises
    ------
    RulesError : a rule file is invalid.
    """
    now = history.now
    alert_rules, warning_rules = read_rules("alerts", AlertsFile), read_rules("warnings", WarningsFile)
    onboarding_rules, expansion_rules = read_rules("onboarding", OnboardingFile), read_rules("expansion", ExpansionFile)
    play_rules, lifecycle_rules = read_rules("plays", PlaysFile), read_rules("lifecycle", LifecycleFile)
    whole = rubric.score(history.rows, peers)
    latest = whole.of(history.last)
    score, band = _over_time(history, whole)
    reported_score, reported_band = score.copy(), band.copy()
    versions = [rubric if rubric_at is None else rubric_at(date.to_pydatetime()) for date in history.dates]
    for text, version in {each.text: each for each in versions if each.text != rubric.text}.items():
        then = [i for i, each in enumerate(versions) if each.text == text]
        other_score, other_band = _over_time(history, version.score(history.rows, peers))
        reported_score[:, then], reported_band[:, then] = other_score[:, then], other_band[:, then]
    segments = ComparableAccounts(now, peers).segments
    compared = peers if peers is not None else Peers.of(now, expansion_rules.gate.adoption)
    warnings = find_warnings(history, warning_rules, peers)
    files = {
        "alerts": alert_rules,
        "warnings": warning_rules,
        "onboarding": onboarding_rules,
        "expansion": expansion_rules,
        "plays": play_rules,
        "lifecycle": lifecycle_rules,
    }
    onboarding = onboarding_status(now, onboarding_rules)
    readiness = assess_expansion(now, latest.band, compared, segments, expansion_rules)
    inputs = PlaybookInputs(
        health_band=latest.band.to_numpy(dtype=object),
        health_score=np.asarray(latest.score, dtype=np.float64),
        weakest=_weakest(latest),
        days_to_renewal=number_column(now, RENEWAL),
        term_days=number_column(now, TERM),
        arr=number_column(now, ARR_FEATURE),
        warnings=warnings,
        onboarding=onboarding,
        gate_met=readiness.open,
        segments=segments,
    )
    book = decide_plays(
        list(history.accounts),
        inputs,
        ModelView.unknown(len(now)) if view is None else view,
        play_rules,
        segments_file(),
        PlaybookContext(
            history.as_of.to_pydatetime(), peers is not None, executives_from, open_plays or {}, assignments or {}
        ),
    )
    renewals = RenewalTerms(history.numbers(RENEWAL), history.numbers(TERM))
    dates = [date.to_pydatetime() for date in history.dates]
    alerts = find_alerts(dates, score, band, _risks(history, risk), renewals, alert_rules)
    by_executives = [play is not None and play.who == EXECUTIVES for play in book.plays]
    return RuleResults(
        latest,
        history.dates,
        score,
        band,
        reported_score,
        reported_band,
        segments,
        lifecycle_stages(now, latest.band.to_numpy(dtype=object), lifecycle_rules),
        route_alerts(alerts, by_executives, alert_rules),
        warnings,
        onboarding,
        readiness,
        book,
        {name: rules.version for name, rules in (files | {"segments": segments_file()}).items()},
    )


def _over_time(history: PortfolioHistory, health: HealthScores) -> tuple[Floats, Texts]:
    """Return scores and bands of each account at each date, shape (n, dates)."""
    score = history.over_time(health.score.to_numpy(), np.nan)
    return score, history.over_time(health.band.to_numpy(dtype=object), INSUFFICIENT)


def _weakest(health: HealthScores) -> Texts:
    """Return the dimension with the fewest points, None without a score, shape (n,)."""
    points = health.dimensions
    weakest = np.full(len(points), None, dtype=object)
    has_score = points.notna().any(axis=1).to_numpy() & health.score.notna().to_numpy()
    if has_score.any():
        weakest[has_score] = points[has_score].idxmin(axis=1).to_numpy(dtype=object)
    return weakest


def _risks(history: PortfolioHistory, risk: Floats | None) -> Floats:
    risks = history.numbers(RISK_COLUMN)
    risks[:, -1] = np.nan if risk is None else risk
    return risks
