"""Paired comparison of the champion with a challenger, the newest other registered version, on the quarter's snapshots.

Without a comparable challenger, the section shows the candidates of the champion's training run on the dates that its
backtest predicts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from features.errors import BundleError
from models.artifacts.bundle import Bundle, load_bundle
from models.home import Home
from training.review.dataset import ReviewData
from training.review.figure import AccountResamples, ReviewFigure, ReviewModel
from training.review.recorded_metrics import load_recorded_evaluation
from training.statistics.metrics import log_odds
from training.statistics.newton_logistic import row_log_loss

#: Minimum number of churned accounts unseen by both models for a comparison.
MINIMUM_OUTCOMES = 10
LOSSES: tuple[Literal["log_loss", "brier"], ...] = ("log_loss", "brier")


class ChallengerLossDifference(ReviewModel):
    """Mean loss of the champion minus that of ``against``.

    Below 0 the champion is better; the difference is clear if the whole interval is below 0.
    """

    against: str
    loss: Literal["log_loss", "brier"]
    difference: ReviewFigure


class ChallengerComparison(ReviewModel):
    """The comparison. ``source``: the quarter's snapshots, the predicted dates of the champion's run, or none."""

    source: Literal["quarter", "test", "none"]
    champion: str | None
    challenger: str | None
    accounts: int
    against: tuple[ChallengerLossDifference, ...]
    words: str


def compare_challenger(data: ReviewData, home: Home) -> ChallengerComparison:
    """Compare the champion with the newest challenger.

    Parameters
    ----------
    data : the data of the review.
    home : where bundles and runs are stored.
    """
    champion = data.champion.bundles.get("churn")
    if champion is None:
        return ChallengerComparison(
            source="none",
            champion=None,
            challenger=None,
            accounts=0,
            against=(),
            words="there is no champion for churn",
        )
    challenger = newest_challenger(home, champion)
    version = champion.manifest.version
    if challenger is not None:
        rows = data.unseen(champion) & data.unseen(challenger)
        accounts = data.accounts[rows]
        if len(set(accounts[data.churn[rows] == 1])) >= MINIMUM_OUTCOMES:
            return _paired(data, champion, challenger, rows)
    recorded = load_recorded_evaluation(home, champion)
    name = challenger.manifest.version if challenger else None
    reason = (
        f"version {name} cannot be compared: too few outcomes of the quarter are new to both models"
        if name
        else "no other version is registered"
    )
    if recorded is None:
        words = f"{reason}; the training run of the champion is not available either"
        return ChallengerComparison(
            source="none", champion=version, challenger=name, accounts=0, against=(), words=words
        )
    against = [
        ChallengerLossDifference(against=other, loss=loss, difference=figure)
        for loss in LOSSES
        for other, figure in recorded.differences(loss).items()
    ]
    words = (
        f"{reason}. The table shows the other candidates of the champion's training run, on the dates that its "
        "backtest predicts"
    )
    return ChallengerComparison(
        source="test",
        champion=version,
        challenger=name,
        accounts=recorded.accounts,
        against=tuple(against),
        words=words,
    )


def newest_challenger(home: Home, champion: Bundle) -> Bundle | None:
    """Find the newest other churn bundle with the same horizon and grace period.

    Parameters
    ----------
    home : where bundles are stored.
    champion : the bundle in use.

    Returns
    -------
    The bundle; None if there is none.
    """
    challengers = []
    for folder in sorted(home.bundles.glob("churn/*")) if home.bundles.is_dir() else []:
        other = _load_or_none(folder)
        same = other is not None and _target_window(other) == _target_window(champion)
        if other is not None and same and other.fingerprint != champion.fingerprint:
            challengers.append(other)
    return max(challengers, key=lambda bundle: bundle.manifest.created_at, default=None)


def _target_window(bundle: Bundle) -> tuple[int, int]:
    return bundle.manifest.horizon_days, bundle.manifest.grace_days


def _load_or_none(folder: Path) -> Bundle | None:
    try:
        return load_bundle(folder, "churn")
    except BundleError:
        return None


def _paired(data: ReviewData, champion: Bundle, challenger: Bundle, rows: np.ndarray) -> ChallengerComparison:
    challenger_p_all = data.probability_by(challenger, rows)
    both = rows & np.isfinite(challenger_p_all) & np.isfinite(data.probability)
    y, champion_p, other = data.churn[both], data.probability[both], challenger_p_all[both]
    resampled = AccountResamples(data.accounts[both])
    events, ones = resampled.account_count(y == 1), np.ones(len(y))
    differences = {
        "log_loss": row_log_loss(log_odds(champion_p), y) - row_log_loss(log_odds(other), y),
        "brier": (champion_p - y) ** 2 - (other - y) ** 2,
    }
    name = challenger.manifest.version
    return ChallengerComparison(
        source="quarter",
        champion=champion.manifest.version,
        challenger=name,
        accounts=resampled.bootstrap.accounts,
        against=tuple(
            ChallengerLossDifference(
                against=name, loss=loss, difference=resampled.ratio(differences[loss], ones, events)
            )
            for loss in LOSSES
        ),
        words=f"challenger: version {name}, the newest other version, compared on outcomes that are new to both models",
    )
