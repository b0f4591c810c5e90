"""Predictions of one target for a portfolio: probability, interval, risk score, band, percentile and reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from features.errors import BadRequest
from features.utils.arrays import Bools, Floats, Texts
from models.artifacts.bundle import Bundle
from models.explain.reasons import AccountExplanation, TargetExplainer
from models.peer_groups.frame_columns import number_column
from models.peer_groups.peers import Peers
from models.peer_groups.percentiles import midrank
from models.predictions.risk_bands import risk_band, risk_score, whole_points
from models.scorer.encoding import Encoded
from models.scorer.errors import ScorerError
from models.targets import Target

if TYPE_CHECKING:
    from features.definitions.feature import Feature

WithheldStatus = Literal["stale_inputs", "out_of_scope"]
SCORED, INSUFFICIENT_HISTORY, NO_MODEL = "scored", "insufficient_history", "no_model"
STALE_INPUTS: WithheldStatus = "stale_inputs"
OUT_OF_SCOPE: WithheldStatus = "out_of_scope"

#: Accounts with a shorter tenure are not scored, because they have not filled the shortest window of a feature.
MINIMUM_TENURE_DAYS = 7
TENURE_FEATURE = "contract.tenure_days"
#: If no feed has had an event for longer, no probabilities are reported. Twice the interval of the slowest usual feed.
SILENT_AFTER_DAYS = 60

WHY_NOT_SCORED: Mapping[str, str] = {
    INSUFFICIENT_HISTORY: f"less than {MINIMUM_TENURE_DAYS} days as a customer",
    STALE_INPUTS: f"no data for more than {SILENT_AFTER_DAYS} days in any feed",
    OUT_OF_SCOPE: "not active at this date, or most inputs of the model are unknown",
    NO_MODEL: "no model has been promoted",
}
"""Why there is no probability, in words, by status."""


@dataclass(frozen=True)
class TargetScores:
    """The scores of n accounts for one target. Every array has shape (n,).

    Parameters
    ----------
    target : the target.
    bundle : the model; None without one.
    status : scored, insufficient_history, stale_inputs, out_of_scope or no_model. If it is not scored, the numbers are
        NaN and the band is None.
    probability, low, high : the probability and its 80% interval, 0 to 1.
    points : the risk score in whole points, 0 to 100.
    band : the band of the points.
    percentile : the rank in the portfolio, 0 to 100, higher for a higher probability; NaN without a portfolio.
    explanation : computes the reasons; None without a model.
    missing : the features without a column in the table.
    unseen : for each categorical feature, True in the rows with a category that was not in the training data.
    by_horizon : the probability within each horizon of the model, by its days. It never decreases as the days increase.
    involuntary : the part of the probability that is churn by nonpayment; NaN where the model does not separate it.
    """

    target: Target
    bundle: Bundle | None
    status: Texts
    probability: Floats
    low: Floats
    high: Floats
    points: Floats
    band: Texts
    percentile: Floats
    explanation: TargetExplainer | None
    missing: tuple[str, ...]
    unseen: Mapping[str, Bools]
    by_horizon: Mapping[int, Floats]
    involuntary: Floats

    def explained(self, rows: Sequence[int]) -> list[AccountExplanation | None]:
        """Return the explanations of the accounts in these rows; None where there is no probability."""
        if self.explanation is None:
            return [None] * len(rows)
        scored = [row for row in rows if self.status[row] == SCORED]
        explanations = dict(zip(scored, self.explanation.explain(scored), strict=True))
        return [explanations.get(row) for row in rows]

    @property
    def version(self) -> str | None:
        """The version of the model; None without one."""
        return None if self.bundle is None else self.bundle.manifest.version


def unscored_target(target: Target, accounts: int) -> TargetScores:
    """Return scores without probabilities, for a target without a promoted model."""
    nan, null = np.full(accounts, np.nan), np.full(accounts, None, dtype=object)
    status = np.full(accounts, NO_MODEL, dtype=object)
    return TargetScores(target, None, status, nan, nan, nan, nan, null, nan, None, (), {}, {}, nan)


def score_target(
    frame: pd.DataFrame,
    bundle: Bundle,
    peers: Peers,
    segments: Texts,
    is_portfolio: bool,
    catalogue: Mapping[str, Feature],
    withheld: WithheldStatus | None = None,
) -> TargetScores:
    """Score every account with one bundle.

    Parameters
    ----------
    frame : one row per account, all of one as_of.
    bundle : the model.
    peers, segments : used by the reasons, which compare an account with similar ones.
    is_portfolio : True if the rows are a whole portfolio, so that a percentile is meaningful.
    catalogue : the features.
    withheld : the reason to report no probability for any account: the signals ended so long before as_of that every
        account would look inactive, the accounts are not active at as_of, or most of the model's gain lies in features
        that are unknown for all of them. None to report probabilities.

    Raises
    ------
    BadRequest : a column does not have the type that the model needs.
    """
    scorer = bundle.scorer
    encoded, old_enough = _encoded(frame, bundle), _old_enough(frame)
    scored = old_enough & (withheld is None)
    raw, error = scorer.estimate(encoded.matrix)
    p, low, high = (np.where(scored, values, np.nan) for values in scorer.calibrate(raw, error))
    points = whole_points(risk_score(p, bundle.manifest.base_rate))
    target = bundle.manifest.target
    return TargetScores(
        target,
        bundle,
        np.where(old_enough, withheld or SCORED, INSUFFICIENT_HISTORY).astype(object),
        p,
        low,
        high,
        points,
        risk_band(points),
        midrank(p) if is_portfolio else np.full(len(frame), np.nan),
        TargetExplainer(
            target,
            frame,
            scorer.features,
            raw,
            lambda rows: scorer.member_contributions(encoded.matrix[rows], raw[rows]),
            peers,
            segments,
            catalogue,
            bundle.comparables,
        ),
        encoded.missing,
        encoded.unseen,
        {days: np.where(scored, each, np.nan) for days, each in scorer.by_horizon(encoded.matrix).items()},
        p * scorer.involuntary(encoded.matrix),
    )


def risk_points(frame: pd.DataFrame, bundle: Bundle) -> Floats:
    """Compute only the risk score in whole points, 0 to 100; NaN where the tenure is too short. Shape (n,).

    Raises
    ------
    BadRequest : a column does not have the type that the model needs.
    """
    p = bundle.scorer.probability(bundle.scorer.raw(_encoded(frame, bundle).matrix))
    return whole_points(risk_score(np.where(_old_enough(frame), p, np.nan), bundle.manifest.base_rate))


def _encoded(frame: pd.DataFrame, bundle: Bundle) -> Encoded:
    try:
        return bundle.scorer.encode(frame)
    except ScorerError as error:
        raise BadRequest(
            str(error), "the columns of a snapshot", "build the table with `renewcast snapshot`"
        ) from error


def _old_enough(frame: pd.DataFrame) -> Bools:
    # An unknown tenure counts as old enough: a comparison with NaN is False.
    return ~(number_column(frame, TENURE_FEATURE) < MINIMUM_TENURE_DAYS)
