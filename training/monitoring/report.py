"""What monitoring tells of each champion, and why it should be trained again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from features.utils.dates import to_iso
from models.targets import Target
from training.evaluation.comparison import json_safe
from training.monitoring.matured_predictions import MINIMUM_OUTCOMES, MaturedMetrics

#: So many more outcomes than before make it worth training again.
RETRAINING_SHARE = 0.25


@dataclass(frozen=True)
class Drift:
    """How far the portfolio has moved since training, by `training.monitoring.drift.psi`.

    Parameters
    ----------
    score_psi : of the log-odds.
    feature_psi : of every feature of the model, furthest first.
    limit : above it, another population.
    """

    score_psi: float
    feature_psi: Mapping[str, float]
    limit: float

    def far(self) -> dict[str, float]:
        """The features that have become another population."""
        return {name: value for name, value in self.feature_psi.items() if value > self.limit}


@dataclass(frozen=True)
class FormerChampion:
    """A champion before the present one.

    Parameters
    ----------
    since, until : the first date that it answered for, and the first that it no longer did.
    matured : of the dates that it answered for, by horizon; None where its bundle can no longer be read.
    """

    version: str
    since: datetime
    until: datetime
    matured: tuple[MaturedMetrics, ...] | None


@dataclass(frozen=True)
class ChampionMonitoring:
    """One champion after its training.

    Parameters
    ----------
    version, trained_through, horizon_days : of the champion.
    matured : by horizon, shortest first; those without a matured prediction are left out.
    trained_auc : its AUC on the test, as judged.
    former : the champions before it, oldest first, and how their predictions turned out.
    together : all of them and the present one, each on the dates that it answered for; by horizon.
    drifted : the portfolio since its training.
    new_outcomes : what became known since, as a share of what was known at training.
    """

    version: str
    trained_through: datetime
    horizon_days: int
    matured: tuple[MaturedMetrics, ...]
    trained_auc: float | None
    former: tuple[FormerChampion, ...]
    together: tuple[MaturedMetrics, ...]
    drifted: Drift
    new_outcomes: float

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it should be trained again, a sentence each; empty: no reason."""
        reasons = []
        for seen in self.matured:
            reasons += seen.faults()
            faded = self.trained_auc is not None and seen.roc_auc[2] < self.trained_auc
            if seen.days == self.horizon_days and faded:
                reasons.append(
                    f"within {seen.days} days the ranking has faded: AUC {seen.roc_auc[0]:.3f} (up to "
                    f"{seen.roc_auc[2]:.3f}), {self.trained_auc:.3f} when it was judged"
                )
        if self.drifted.score_psi > self.drifted.limit:
            reasons.append(f"the portfolio scores unlike the one trained on (PSI {self.drifted.score_psi:.2f})")
        if self.new_outcomes >= RETRAINING_SHARE:
            reasons.append(
                f"{self.new_outcomes:.0%} more outcomes are known than at training: there is more to learn from"
            )
        return tuple(reasons)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the champions so far got wrong where the present one's predictions cannot tell yet. No reason to train
        again: the present one has been trained since."""
        telling = {seen.days for seen in self.matured if seen.happened >= MINIMUM_OUTCOMES}
        if not self.former:
            return ()
        return tuple(
            f"the champions so far, taken together: {fault}"
            for seen in self.together
            if seen.days not in telling
            for fault in seen.faults()
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain data, with reasons and notes."""
        former = [asdict(one) | {"since": to_iso(one.since), "until": to_iso(one.until)} for one in self.former]
        drifted = {"score_psi": self.drifted.score_psi, "feature_psi": dict(self.drifted.feature_psi)}
        told = {k: v for k, v in asdict(self).items() if k != "drifted"}
        told |= {"trained_through": to_iso(self.trained_through), "former": former, **drifted}
        return told | {"psi_limit": self.drifted.limit, "reasons": list(self.reasons), "notes": list(self.notes)}


@dataclass(frozen=True)
class MonitorReport:
    """What monitoring found.

    Parameters
    ----------
    data_through : the end of the signals, UTC.
    targets : by target; those without a champion are left out.
    feeds : what is wrong with a feed, a line each: to be mended before anything is trained.
    """

    data_through: datetime
    targets: Mapping[Target, ChampionMonitoring]
    feeds: tuple[str, ...]

    @property
    def retrain(self) -> bool:
        """Whether there is a reason to, and no feed that has to be mended first."""
        return not self.feeds and any(watched.reasons for watched in self.targets.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; figures that are not defined are None."""
        told = {target: watched.as_dict() for target, watched in self.targets.items()}
        whole = {"data_through": to_iso(self.data_through), "targets": told, "feeds": list(self.feeds)}
        return dict(json_safe(whole | {"retrain": self.retrain}))
