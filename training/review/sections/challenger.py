"""Champion against challenger, paired: the newest registered version beside the champion on the quarter's snapshots;
where there is none to compare, the contenders of the champion's own run on its test dates."""

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

#: Accounts with a churn that neither model could know, below which two models are not compared.
MINIMUM_OUTCOMES = 10
LOSSES: tuple[Literal["log_loss", "brier"], ...] = ("log_loss", "brier")


class LossDifference(ReviewModel):
    """The champion's mean loss less that of ``against``: below 0 the champion is better, and clearly so where the whole
    interval is."""

    against: str
    loss: Literal["log_loss", "brier"]
    difference: ReviewFigure


class ChallengerComparison(ReviewModel):
    """``source``: the quarter's snapshots, the test dates of the champion's run, or none."""

    source: Literal["quarter", "test", "none"]
    champion: str | None
    challenger: str | None
    accounts: int
    against: tuple[LossDifference, ...]
    words: str


def compare_challenger(seen: ReviewData, home: Home) -> ChallengerComparison:
    """Hold the champion against whoever wants its place."""
    champion = seen.champion.bundles.get("churn")
    if champion is None:
        return ChallengerComparison(
            source="none", champion=None, challenger=None, accounts=0, against=(), words="there is no champion"
        )
    challenger = newest_challenger(home, champion)
    version = champion.manifest.version
    if challenger is not None:
        rows = seen.unseen(champion) & seen.unseen(challenger)
        accounts = seen.accounts[rows]
        if len(set(accounts[seen.churn[rows] == 1])) >= MINIMUM_OUTCOMES:
            return _paired(seen, champion, challenger, rows)
    told = load_recorded_evaluation(home, champion)
    name = challenger.manifest.version if challenger else None
    why = (
        f"version {name} and the champion share too few outcomes of the quarter that neither could know at its training"
        if name
        else "no other version is registered"
    )
    if told is None:
        words = f"{why}, and the champion's run is not at hand"
        return ChallengerComparison(
            source="none", champion=version, challenger=name, accounts=0, against=(), words=words
        )
    against = [
        LossDifference(against=other, loss=loss, difference=figure)
        for loss in LOSSES
        for other, figure in told.differences(loss).items()
    ]
    words = f"{why}; below are the contenders of the champion's own run, on its test dates"
    return ChallengerComparison(
        source="test", champion=version, challenger=name, accounts=told.accounts, against=tuple(against), words=words
    )


def newest_challenger(home: Home, champion: Bundle) -> Bundle | None:
    """The newest sound bundle for churn that is not the champion and predicts the same; None without one."""
    found = []
    for folder in sorted(home.bundles.glob("churn/*")) if home.bundles.is_dir() else []:
        other = _sound(folder)
        same = other is not None and _predicts(other) == _predicts(champion)
        if other is not None and same and other.fingerprint != champion.fingerprint:
            found.append(other)
    return max(found, key=lambda bundle: bundle.manifest.created_at, default=None)


def _predicts(bundle: Bundle) -> tuple[int, int]:
    return bundle.manifest.horizon_days, bundle.manifest.grace_days


def _sound(folder: Path) -> Bundle | None:
    try:
        return load_bundle(folder, "churn")
    except BundleError:
        return None


def _paired(seen: ReviewData, champion: Bundle, challenger: Bundle, rows: np.ndarray) -> ChallengerComparison:
    theirs = seen.probability_by(challenger, rows)
    both = rows & np.isfinite(theirs) & np.isfinite(seen.probability)
    y, mine, other = seen.churn[both], seen.probability[both], theirs[both]
    resampled = AccountResamples(seen.accounts[both])
    events, ones = resampled.people(y == 1), np.ones(len(y))
    apart = {
        "log_loss": row_log_loss(log_odds(mine), y) - row_log_loss(log_odds(other), y),
        "brier": (mine - y) ** 2 - (other - y) ** 2,
    }
    name = challenger.manifest.version
    return ChallengerComparison(
        source="quarter",
        champion=champion.manifest.version,
        challenger=name,
        accounts=resampled.bootstrap.accounts,
        against=tuple(
            LossDifference(against=name, loss=loss, difference=resampled.ratio(apart[loss], ones, events))
            for loss in LOSSES
        ),
        words=f"version {name} is the newest that is not champion; on snapshots whose outcome neither could know",
    )
