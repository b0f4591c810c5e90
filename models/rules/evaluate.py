"""What the rules say of a portfolio: health and its history, alerts, warnings, onboarding, expansion, plays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.health.rubric import INSUFFICIENT, HealthScores, Rubric
from models.peer_groups.frame_columns import number_column
from models.peer_groups.peers import Peers
from models.peer_groups.percentiles import Comparable
from models.peer_groups.rule_files import read_rules
from models.peer_groups.segments import ARR_FEATURE, segments_file
from models.rules.alerts import Alert, AlertsFile, addressed, alerts
from models.rules.early_warnings import RENEWAL, EarlyWarning, WarningsFile, early_warnings
from models.rules.expansion import Expansion, ExpansionFile, expansion
from models.rules.history import History, Table
from models.rules.onboarding import Onboarding, OnboardingFile, onboarding
from models.rules.playbook import Called, Circumstances, Facts, Handed, ModelView, Playbook, playbook
from models.rules.plays import EXECUTIVES, Play, PlaysFile

TERM = "contract.term_days"
RISK = "churn_risk_score"
"""A column of the earlier rows of a history: the churn model's risk score then, 0 to 100, where it was worked out."""

Floats = npt.NDArray[np.float64]
Texts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Judged:
    """What the rules say of n accounts at one date, in the order of their account_id.

    Parameters
    ----------
    health : the health scores at the date.
    dates : the dates of the history, in order, the last being the one judged; d of them.
    score, band : the health score (NaN unknown) and its band at each date by the rubric of the date judged, so that
        dates can be compared, shape (n, d).
    told_score, told_band : the same by the version of the rubric that was in force at each date: what was told then.
    segments : the segment of each account, None unknown, shape (n,).
    alerts, warnings, onboarding : of each account.
    expansion : readiness for more.
    playbook : the play of each account, None without a reason to act, and what expansion is proposed.
    versions : the version of each file of rules.
    """

    health: HealthScores
    dates: tuple[pd.Timestamp, ...]
    score: Floats
    band: Table
    told_score: Floats
    told_band: Table
    segments: Texts
    alerts: tuple[tuple[Alert, ...], ...]
    warnings: tuple[tuple[EarlyWarning, ...], ...]
    onboarding: tuple[Onboarding, ...]
    expansion: Expansion
    playbook: Playbook
    versions: Mapping[str, str]

    @property
    def plays(self) -> tuple[Play | None, ...]:
        """The play of each account, None without a reason to act."""
        return self.playbook.plays

    def plays_of(self, row: int) -> tuple[Play, ...]:
        """All plays of one account, the main one first."""
        play = self.plays[row]
        return () if play is None else (play, *self.playbook.further[row])

    @cached_property
    def change_7d(self) -> Floats:
        """How much the score has changed against the date about a week before, in points; NaN unknown, shape (n,)."""
        back = [(self.dates[-1] - date) / pd.Timedelta(days=1) for date in self.dates]
        near = [i for i, days in enumerate(back) if 6 <= days <= 8]
        if not near:
            return np.full(len(self.score), np.nan)
        change: Floats = np.round(self.score[:, -1] - self.score[:, near[-1]], 1)
        return change

    @cached_property
    def weakest(self) -> Texts:
        """The dimension with the fewest points, None where there is no score, shape (n,)."""
        return _weakest(self.health)

    @cached_property
    def touch(self) -> tuple[str | None, ...]:
        """How each account is looked after, by its segment."""
        how = {segment.name: segment.touch for segment in segments_file().segments}
        return tuple(how.get(name) for name in self.segments)


def looked_back_on(rubric: Rubric) -> tuple[str, ...]:
    """The features whose earlier values the rules look at, each once: those of the rubric and of the early warnings."""
    signals = (signal.feature for _, signal in rubric.signals)
    warned = (feature for _, feature in read_rules("warnings", WarningsFile).used())
    return tuple(dict.fromkeys((ARR_FEATURE, *signals, *warned)))


def judge(
    history: History,
    rubric: Rubric,
    peers: Peers | None = None,
    risk: Floats | None = None,
    rubric_at: Callable[[datetime], Rubric] | None = None,
    view: ModelView | None = None,
    executives_from: float | None = None,
    called: Called | None = None,
    handed: Handed | None = None,
) -> Judged:
    """Judge every account of the last date by the rules in force.

    Parameters
    ----------
    history : the portfolio at some dates; with one date nothing is known of changes, and nothing noisy is confirmed.
    rubric : the health score.
    peers : what to compare with, for accounts that come alone; without it the rows of a date are a whole portfolio.
    risk : the churn model's risk score at the last date, 0 to 100, NaN where there is none, shape (n,).
    rubric_at : the version of the rubric in force at an earlier date; the same one throughout if not given. Alerts and
        changes compare dates by one version: that a company changes its weights is no change of an account.
    view : what the models say at the last date; without it plays follow from the rules alone.
    executives_from : for accounts that come alone (``peers``), as `models.rules.playbook.Circumstances` has it.
    called : plays that were published before and have not been done: the day on which they were first due stands.
    handed : plays that were handed to executives before, as `models.rules.playbook.Circumstances` has it.

    Raises
    ------
    RulesError : a file of rules is broken.
    """
    now = history.now
    told, signs = read_rules("alerts", AlertsFile), read_rules("warnings", WarningsFile)
    first_days, more = read_rules("onboarding", OnboardingFile), read_rules("expansion", ExpansionFile)
    what = read_rules("plays", PlaysFile)
    whole = rubric.score(history.rows, peers)
    latest = whole.of(history.last)
    score, band = _over_time(history, whole)
    told_score, told_band = score.copy(), band.copy()
    versions = [rubric if rubric_at is None else rubric_at(date.to_pydatetime()) for date in history.dates]
    for text, version in {each.text: each for each in versions if each.text != rubric.text}.items():
        then = [i for i, each in enumerate(versions) if each.text == text]
        other_score, other_band = _over_time(history, version.score(history.rows, peers))
        told_score[:, then], told_band[:, then] = other_score[:, then], other_band[:, then]
    segments = Comparable(now, peers).segments
    compared = peers if peers is not None else Peers.of(now, more.gate.adoption)
    warnings = early_warnings(history, signs, peers)
    files = {"alerts": told, "warnings": signs, "onboarding": first_days, "expansion": more, "plays": what}
    begun, readiness = onboarding(now, first_days), expansion(now, latest.band, compared, segments, more)
    facts = Facts(
        health_band=latest.band.to_numpy(dtype=object),
        health_score=np.asarray(latest.score, dtype=np.float64),
        weakest=_weakest(latest),
        days_to_renewal=number_column(now, RENEWAL),
        term_days=number_column(now, TERM),
        arr=number_column(now, ARR_FEATURE),
        warnings=warnings,
        onboarding=begun,
        gate_met=readiness.open,
        segments=segments,
    )
    book = playbook(
        list(history.accounts),
        facts,
        ModelView.unknown(len(now)) if view is None else view,
        what,
        segments_file(),
        Circumstances(history.as_of.to_pydatetime(), peers is not None, executives_from, called or {}, handed or {}),
    )
    raised = alerts([d.to_pydatetime() for d in history.dates], score, band, _risks(history, risk), told)
    by_executives = [play is not None and play.who == EXECUTIVES for play in book.plays]
    return Judged(
        latest,
        history.dates,
        score,
        band,
        told_score,
        told_band,
        segments,
        addressed(raised, by_executives, told),
        warnings,
        begun,
        readiness,
        book,
        {name: rules.version for name, rules in (files | {"segments": segments_file()}).items()},
    )


def _over_time(history: History, health: HealthScores) -> tuple[Floats, Texts]:
    """Scores and bands of each account at each date, shape (n, dates)."""
    score = history.over_time(health.score.to_numpy(), np.nan)
    return score, history.over_time(health.band.to_numpy(dtype=object), INSUFFICIENT)


def _weakest(health: HealthScores) -> Texts:
    """The dimension with the fewest points, None where there is no score, shape (n,)."""
    points = health.dimensions
    found = np.full(len(points), None, dtype=object)
    known = points.notna().any(axis=1).to_numpy() & health.score.notna().to_numpy()
    if known.any():
        found[known] = points[known].idxmin(axis=1).to_numpy(dtype=object)
    return found


def _risks(history: History, risk: Floats | None) -> Floats:
    found = history.numbers(RISK)
    found[:, -1] = np.nan if risk is None else risk
    return found
