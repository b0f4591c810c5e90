"""Judgments of people next to health score and model: renewal calls compared with what happened.

All contenders are compared on the same snapshots of the quarter. Each becomes a probability in the same way: by a
logistic regression fitted on the other accounts (five account folds). So a combination can only be better by what it
knows, not by how it was fitted. Skills are relative to the churn rate of the other accounts.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np

from features.families.pulse import CALLS
from features.utils.arrays import Bools, Floats, Ints, Objects
from models.peer_groups.frame_columns import number_column
from training.review.dataset import ReviewData
from training.review.figure import AccountResamples, ReviewFigure, ReviewModel
from training.statistics import metrics, newton_logistic
from training.statistics.metrics import Predictions

JUDGMENTS: tuple[Literal["renewal_call", "sentiment"], ...] = ("renewal_call", "sentiment")
"""The columns that are judged: renewal calls, or else sentiments."""
MINIMUM_OUTCOMES = 10
"""Minimum number of churned and of retained accounts with a judgment."""
FOLDS = 5
PRIOR_STRENGTH = 1.0
"""Precision of the prior of each slope, per standard deviation."""
SENTIMENTS = {-2: "very bad", -1: "bad", 0: "neutral", 1: "good", 2: "very good"}


class JudgmentOutcome(ReviewModel):
    """How often accounts with one judgment churned within the horizon. One account may have had several."""

    judgment: str
    accounts: int
    rate: ReviewFigure


class JudgmentComparison(ReviewModel):
    """Brier skill of the judgment, of the score (or the model), and of both together, on the same snapshots.

    ``adds`` is the skill of both minus that of the score (or the model) alone.
    """

    compared_with: Literal["score", "model"]
    accounts: int
    judgment: ReviewFigure
    alone: ReviewFigure
    both: ReviewFigure
    adds: ReviewFigure
    words: str


class JudgmentReview(ReviewModel):
    """The judgments of the quarter's snapshots: how many there were, what followed, and what they add.

    ``source`` is the column that was judged; None without judgments. ``accounts`` of the ``of`` evaluated accounts had
    one that had not expired.
    """

    source: Literal["renewal_call", "sentiment"] | None
    accounts: int
    of: int
    outcomes: tuple[JudgmentOutcome, ...]
    comparisons: tuple[JudgmentComparison, ...]
    words: str


def review_judgments(data: ReviewData) -> JudgmentReview:
    """Compare the judgments in the table pulse with outcomes, next to health score and model.

    Parameters
    ----------
    data : the data of the review.
    """
    of = len(set(data.accounts[data.judged]))
    for source in JUDGMENTS:
        judgment = number_column(data.frame, f"pulse.{source}")
        rows = data.judged & np.isfinite(judgment)
        if rows.any():
            break
    else:
        return JudgmentReview(
            source=None, accounts=0, of=of, outcomes=(), comparisons=(), words="no account had a judgment of a person"
        )
    bundle = data.champion.bundles.get("churn")
    model = (
        np.full(len(data.frame), np.nan) if bundle is None else np.where(data.unseen(bundle), data.probability, np.nan)
    )
    log_odds = np.where(np.isfinite(model), metrics.log_odds(np.nan_to_num(model, nan=0.5)), np.nan)
    return judge(source, judgment[rows], data.churn[rows], data.accounts[rows], data.score[rows], log_odds[rows], of)


def judge(
    source: Literal["renewal_call", "sentiment"],
    judgment: Floats,
    churned: Floats,
    accounts: Objects,
    score: Floats,
    model: Floats,
    of: int,
) -> JudgmentReview:
    """Compare judgments with outcomes.

    Parameters
    ----------
    source : the column of the judgments.
    judgment, churned : the judgment and the outcome of each row, shape (n,).
    accounts : the account of each row, shape (n,).
    score, model : the health score and the model's log-odds, NaN if unknown, shape (n,).
    of : the number of evaluated accounts.
    """
    resampled = AccountResamples(accounts)
    outcomes = []
    for value in sorted(set(judgment.tolist())):
        inside = judgment == value
        rate = resampled.ratio(inside * churned, inside, resampled.account_count(inside & (churned == 1)))
        name = CALLS[int(value)].replace("_", " ") if source == "renewal_call" else SENTIMENTS[int(value)]
        outcomes.append(JudgmentOutcome(judgment=name, accounts=resampled.account_count(inside), rate=rate))
    others: tuple[tuple[Literal["score", "model"], Floats], ...] = (("score", score), ("model", model))
    compared = [_compare(name, judgment, other, churned, accounts) for name, other in others]
    comparisons = tuple(each for each in compared if each is not None)
    lost, kept = (resampled.account_count(churned == outcome) for outcome in (1, 0))
    what = "renewal calls" if source == "renewal_call" else "sentiments"
    words = "; ".join(each.words for each in comparisons) or (
        f"too few outcomes to judge the {what}: {lost} churned and {kept} retained accounts had one, and "
        f"{MINIMUM_OUTCOMES} of each with a health score or a prediction are needed"
    )
    return JudgmentReview(
        source=source,
        accounts=resampled.bootstrap.accounts,
        of=of,
        outcomes=tuple(outcomes),
        comparisons=comparisons,
        words=words,
    )


def _compare(
    compared_with: Literal["score", "model"], judgment: Floats, other: Floats, churned: Floats, accounts: Objects
) -> JudgmentComparison | None:
    rows = np.isfinite(other)
    judgment, other, y, accounts = judgment[rows], other[rows], churned[rows], accounts[rows]
    resampled = AccountResamples(accounts)
    events = resampled.account_count(y == 1)
    if min(events, resampled.account_count(y == 0)) < MINIMUM_OUTCOMES:
        return None
    fold = _folds(resampled.bootstrap.codes, resampled.bootstrap.accounts)
    base = _out_of_fold(np.ones((len(y), 1)), y, fold)

    def skill(*values: Floats) -> partial[Floats]:
        predictions = Predictions(y, _out_of_fold(_design(*values), y, fold), np.zeros(len(y)))
        return partial(metrics.brier_skill, predictions, known_rate=base)

    of_judgment, alone, both = skill(judgment), skill(other), skill(judgment, other)
    adds = resampled.evaluate(lambda weights: both(weights) - alone(weights), events)
    name = "the health score" if compared_with == "score" else "the model"
    if adds.low is not None and adds.low > 0:
        words = f"people's judgment adds to {name}"
    elif adds.high is not None and adds.high < 0:
        words = f"people's judgment makes {name} worse"
    else:
        words = f"this quarter does not show clearly that people's judgment adds to {name}"
    return JudgmentComparison(
        compared_with=compared_with,
        accounts=resampled.bootstrap.accounts,
        judgment=resampled.evaluate(of_judgment, events),
        alone=resampled.evaluate(alone, events),
        both=resampled.evaluate(both, events),
        adds=adds,
        words=words,
    )


def _folds(codes: Ints, accounts: int) -> Ints:
    """Return the fold of each row; all rows of an account are in one fold."""
    folds = np.random.default_rng(0).permutation(accounts) % FOLDS
    return np.asarray(folds[codes], dtype=np.int64)


def _design(*values: Floats) -> Floats:
    """Return an intercept and the standardized values."""
    columns = [np.ones(len(values[0]))]
    for value in values:
        spread = float(value.std())
        columns.append((value - value.mean()) / spread if spread > 0 else np.zeros(len(value)))
    return np.stack(columns, axis=1)


def _out_of_fold(design: Floats, y: Floats, fold: Ints) -> Floats:
    """Return the probability of each row by a logistic regression on the rows of the other folds."""
    p = np.empty(len(y))
    zero = np.zeros(design.shape[1])
    strength = np.where(np.arange(design.shape[1]) > 0, PRIOR_STRENGTH, 0.0)
    for number in np.unique(fold):
        inside: Bools = fold == number
        theta = newton_logistic.fit(design[~inside], y[~inside], np.ones((1, int((~inside).sum()))), zero, strength)
        p[inside] = 1.0 / (1.0 + np.exp(-(design[inside] @ theta[0])))
    return p
