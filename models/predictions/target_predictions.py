"""Predictions of one target for a portfolio: probability, interval, risk score, band, percentile and reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.errors import BadRequest
from models.artifacts.bundle import Bundle
from models.explain.reasons import AccountExplanation, TargetExplainer
from models.peer_groups.frame_columns import number_column
from models.peer_groups.peers import Peers
from models.peer_groups.percentiles import midrank
from models.predictions.risk_bands import risk_band, risk_score, whole_points
from models.scorer.base import ScorerError
from models.scorer.encoding import Encoded
from models.targets import Target

if TYPE_CHECKING:
    from features.definitions.feature import Feature

WithheldStatus = Literal["stale_inputs", "out_of_scope"]
SCORED, INSUFFICIENT_HISTORY, NO_MODEL = "scored", "insufficient_history", "no_model"
STALE_INPUTS: WithheldStatus = "stale_inputs"
OUT_OF_SCOPE: WithheldStatus = "out_of_scope"

#: A customer for fewer days than this has not filled the shortest window, so its numbers are not meaningful yet.
MINIMUM_TENURE_DAYS = 7
TENURE_FEATURE = "contract.tenure_days"

Floats = npt.NDArray[np.float64]
Texts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class TargetScores:
    """One target for n accounts, every array of shape (n,).

    ``status`` is scored, insufficient_history, stale_inputs, out_of_scope or no_model. Where it is not scored the
    numbers are NaN and the band None. ``probability``, ``low`` and ``high`` (80% interval) are 0 to 1; ``points`` whole
    risk points, 0 to 100; ``percentile`` the place in the portfolio, 0 to 100, higher for a higher probability, NaN
    where there is no portfolio to compare with. ``by_horizon`` holds the probability within each horizon that the model
    knows, by its days, never falling as they grow; ``involuntary`` the part of the probability that is an end by
    nonpayment, NaN where the model does not tell them apart. ``missing`` names features that the table had no column
    for; ``unseen`` tells, per categorical feature, the rows whose value the model never saw.
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
    unseen: Mapping[str, npt.NDArray[np.bool_]]
    by_horizon: Mapping[int, Floats]
    involuntary: Floats

    def explained(self, rows: Sequence[int]) -> list[AccountExplanation | None]:
        """Why, for the accounts at these places; None where there is no number to explain."""
        if self.explanation is None:
            return [None] * len(rows)
        known = [row for row in rows if self.status[row] == SCORED]
        found = dict(zip(known, self.explanation.explain(known), strict=True))
        return [found.get(row) for row in rows]

    @property
    def version(self) -> str | None:
        """The bundle's version; None without a model."""
        return None if self.bundle is None else self.bundle.manifest.version


def unscored_target(target: Target, accounts: int) -> TargetScores:
    """Return scores without any number, for a target without a promoted model."""
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
    peers, segments : for the reasons' comparison with comparable accounts.
    is_portfolio : whether the rows are a whole portfolio, within which a place has a meaning.
    withheld : why no number is told of any account: the signals ended so long before as_of that their silence would be
        taken for the accounts' own, the accounts are not active at as_of, or most of the model rests on features that
        are unknown for all of them. None where numbers are told.

    Raises
    ------
    BadRequest : a column cannot be read as what the model needs.
    """
    scorer = bundle.scorer
    encoded, old_enough = _encoded(frame, bundle), _old_enough(frame)
    scored = old_enough & (withheld is None)
    raw = scorer.raw(encoded.matrix)
    p, low, high = (np.where(scored, values, np.nan) for values in scorer.calibrate(raw))
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
            lambda rows: scorer.contributions(encoded.matrix[rows], raw[rows]),
            peers,
            segments,
            catalogue,
        ),
        encoded.missing,
        encoded.unseen,
        {days: np.where(scored, each, np.nan) for days, each in scorer.by_horizon(encoded.matrix).items()},
        p * scorer.involuntary(encoded.matrix),
    )


def risk_points(frame: pd.DataFrame, bundle: Bundle) -> Floats:
    """Whole risk points alone, 0 to 100, NaN where the account is too young; shape (n,).

    Raises
    ------
    BadRequest : a column cannot be read as what the model needs.
    """
    p = bundle.scorer.probability(bundle.scorer.raw(_encoded(frame, bundle).matrix))
    return whole_points(risk_score(np.where(_old_enough(frame), p, np.nan), bundle.manifest.base_rate))


def _encoded(frame: pd.DataFrame, bundle: Bundle) -> Encoded:
    try:
        return bundle.scorer.encode(frame)
    except ScorerError as error:
        raise BadRequest(str(error), "columns as in a snapshot", "build the table with `renewcast snapshot`") from error


def _old_enough(frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    # Unknown tenure does not compare as less, so that it never takes an answer away.
    return ~(number_column(frame, TENURE_FEATURE) < MINIMUM_TENURE_DAYS)
