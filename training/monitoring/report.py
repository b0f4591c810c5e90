"""The monitoring report of each champion, with the reasons to retrain it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from features.utils.dates import to_iso
from models.targets import Target
from training.evaluation.comparison import json_safe
from training.monitoring.matured_predictions import MINIMUM_OUTCOMES, MaturedMetrics
from training.monitoring.warning_precision import WarningPrecision

#: Retraining is worthwhile from this share of new outcomes.
RETRAINING_SHARE = 0.25


@dataclass(frozen=True)
class Drift:
    """Drift of the portfolio since training, measured by `training.monitoring.drift.psi`.

    Parameters
    ----------
    score_psi : PSI of the log-odds.
    feature_psi : PSI of every feature of the model, largest first.
    limit : a PSI above it is a shift.
    """

    score_psi: float
    feature_psi: Mapping[str, float]
    limit: float

    def far(self) -> dict[str, float]:
        """Return the features whose PSI exceeds the limit."""
        return {name: value for name, value in self.feature_psi.items() if value > self.limit}


@dataclass(frozen=True)
class FormerChampion:
    """A previous champion.

    Parameters
    ----------
    since, until : the first date when it was in use, and the first date when it no longer was.
    matured : metrics on the dates when it was in use, by horizon; None if its bundle can no longer be read.
    """

    version: str
    since: datetime
    until: datetime
    matured: tuple[MaturedMetrics, ...] | None


@dataclass(frozen=True)
class ChampionMonitoring:
    """Monitoring results of one champion.

    Parameters
    ----------
    version, trained_through, horizon_days : of the champion.
    matured : metrics by horizon, shortest first; horizons without matured predictions are left out.
    trained_auc : its AUC on the predicted dates at training.
    former : the previous champions, oldest first.
    together : pooled metrics of all champions, each on the dates when it was in use, by horizon.
    drifted : drift of the portfolio since its training.
    new_outcomes : outcomes that became known since training, as a share of those known at training.
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
        """The reasons to retrain, one sentence each; empty if there is none."""
        reasons = []
        for metrics in self.matured:
            reasons += metrics.faults()
            faded = self.trained_auc is not None and metrics.roc_auc[2] < self.trained_auc
            if metrics.days == self.horizon_days and faded:
                reasons.append(
                    f"within {metrics.days} days the ranking is worse: AUC {metrics.roc_auc[0]:.3f} (up to "
                    f"{metrics.roc_auc[2]:.3f}), {self.trained_auc:.3f} at training"
                )
        if self.drifted.score_psi > self.drifted.limit:
            reasons.append(f"the distribution of scores has shifted since training (PSI {self.drifted.score_psi:.2f})")
        if self.new_outcomes >= RETRAINING_SHARE:
            reasons.append(f"{self.new_outcomes:.0%} more outcomes are known than at training")
        return tuple(reasons)

    @property
    def notes(self) -> tuple[str, ...]:
        """Faults of all champions pooled, at horizons where the current one has too few matured predictions.

        They are no reason to retrain, because the current champion was trained later.
        """
        evaluated = {metrics.days for metrics in self.matured if metrics.happened >= MINIMUM_OUTCOMES}
        if not self.former:
            return ()
        return tuple(
            f"all champions so far, pooled: {fault}"
            for metrics in self.together
            if metrics.days not in evaluated
            for fault in metrics.faults()
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, with reasons and notes."""
        former = [asdict(one) | {"since": to_iso(one.since), "until": to_iso(one.until)} for one in self.former]
        drifted = {"score_psi": self.drifted.score_psi, "feature_psi": dict(self.drifted.feature_psi)}
        payload = {k: v for k, v in asdict(self).items() if k != "drifted"}
        payload |= {"trained_through": to_iso(self.trained_through), "former": former, **drifted}
        return payload | {"psi_limit": self.drifted.limit, "reasons": list(self.reasons), "notes": list(self.notes)}


@dataclass(frozen=True)
class MonitorReport:
    """The monitoring report.

    Parameters
    ----------
    data_through : the end of the signals, UTC.
    targets : results by target; targets without a champion are left out.
    feeds : problems with feeds, one line each; fix them before you train.
    early_warnings : what followed the early warnings of past dates; None if it cannot be measured.
    why_no_early_warnings : the reason, None if they are measured.
    open_questions : what the mapping of the signals has not answered, so that figures are uncertain.
    """

    data_through: datetime
    targets: Mapping[Target, ChampionMonitoring]
    feeds: tuple[str, ...]
    early_warnings: WarningPrecision | None
    why_no_early_warnings: str | None = None
    open_questions: tuple[str, ...] = ()

    @property
    def retrain(self) -> bool:
        """Whether there is a reason to retrain, and no feed problem to fix first."""
        return not self.feeds and any(watched.reasons for watched in self.targets.values())

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; undefined figures are None."""
        targets = {target: watched.as_dict() for target, watched in self.targets.items()}
        whole = {
            "data_through": to_iso(self.data_through),
            "targets": targets,
            "feeds": list(self.feeds),
            "early_warnings": None if self.early_warnings is None else self.early_warnings.as_dict(),
            "why_no_early_warnings": self.why_no_early_warnings,
            "retrain": self.retrain,
        }
        return dict(json_safe(whole))
