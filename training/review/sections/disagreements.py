"""Disagreements: wrong scores, accounts where score and model differ, and plays started against the score."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.sources.engine import newest_versions
from models.peer_groups.frame_columns import number_column
from models.predictions.assessment import CHURN_ORDER, HEALTH_ORDER
from models.predictions.risk_bands import risk_band, risk_score, whole_points
from models.rules.early_warnings import RENEWAL
from training.review.dataset import ReviewData
from training.review.figure import AccountResamples, ReviewFigure, ReviewModel

MAX_LISTED = 20


class DisagreeingAccount(ReviewModel):
    """One account with its last snapshot of this kind: score, ARR and churn probability of the model."""

    account_id: str
    as_of: str
    score: float | None
    arr: float
    probability: float | None


class Disagreement(ReviewModel):
    """One kind of disagreement: accounts, their ARR, their share of the accounts named in ``of``, and the largest."""

    kind: str
    words: str
    accounts: int
    arr: float
    share: ReviewFigure
    of: str
    largest: tuple[DisagreeingAccount, ...]


def find_disagreements(data: ReviewData) -> tuple[Disagreement, ...]:
    """List green accounts that churned, red accounts that renewed, differences between score and model, and overrides.

    Parameters
    ----------
    data : the data of the review.
    """
    renewing = number_column(data.frame, RENEWAL)
    due = (renewing >= 0) & (renewing < data.window.horizon_days) if data.contractual else np.ones(len(renewing), bool)
    green, red = data.band == "green", data.band == "red"
    churned, retained = data.judged & (data.churn == 1), data.judged & (data.churn == 0)
    disagreements = [
        _disagreement(
            data,
            "green_that_churned",
            "green accounts that churned within the horizon",
            churned & green,
            churned,
            "accounts that churned",
        ),
        _disagreement(
            data,
            "red_that_renewed",
            "red accounts with a renewal due that were retained"
            if data.contractual
            else "red accounts that were retained",
            retained & red & due,
            data.judged & red & due,
            "red accounts with a renewal due" if data.contractual else "red accounts",
        ),
        *_model_disagreements(data),
        *_overrides(data),
    ]
    return tuple(disagreements)


def _disagreement(
    data: ReviewData, kind: str, words: str, rows: np.ndarray, whole: np.ndarray, of: str
) -> Disagreement:
    selected = pd.DataFrame(
        {"account_id": data.accounts[rows], "as_of": data.as_of[rows].to_numpy(), "position": np.flatnonzero(rows)}
    )
    last = selected.sort_values("as_of").groupby("account_id").tail(1)
    positions = last["position"].to_numpy(dtype=np.int64)
    largest = sorted(positions, key=lambda position: -data.arr[position])[:MAX_LISTED]
    # Each account counts once, if any of its snapshots does.
    whole_accounts = pd.unique(data.accounts[whole])
    resampled, disagrees = (
        AccountResamples(np.asarray(whole_accounts, dtype=object)),
        np.isin(whole_accounts.astype(str), last["account_id"].astype(str)),
    )
    return Disagreement(
        kind=kind,
        words=words,
        accounts=len(last),
        arr=float(data.arr[positions].sum()),
        share=resampled.ratio(disagrees, np.ones(len(whole_accounts)), len(last)),
        of=of,
        largest=tuple(_disagreeing_account(data, position) for position in largest),
    )


def _disagreeing_account(data: ReviewData, position: int) -> DisagreeingAccount:
    score, p = data.score[position], data.probability[position]
    return DisagreeingAccount(
        account_id=str(data.accounts[position]),
        as_of=str(pd.Timestamp(data.as_of.iloc[position]).date()),
        score=float(score) if np.isfinite(score) else None,
        arr=float(data.arr[position]),
        probability=float(p) if np.isfinite(p) else None,
    )


def _model_disagreements(data: ReviewData) -> list[Disagreement]:
    bundle = data.champion.bundles.get("churn")
    if bundle is None:
        return []
    rows = data.newest & np.isfinite(data.probability)
    bands = risk_band(whole_points(risk_score(data.probability, bundle.manifest.base_rate)))
    band_difference = np.array(
        [
            CHURN_ORDER[risk] - HEALTH_ORDER[health] if risk in CHURN_ORDER and health in HEALTH_ORDER else 0
            for risk, health in zip(bands, data.band, strict=True)
        ]
    )
    of = "accounts on the newest date"
    return [
        _disagreement(
            data,
            "model_worse",
            "accounts for which the model predicts more risk than the band",
            rows & (band_difference > 0),
            rows,
            of,
        ),
        _disagreement(
            data,
            "model_better",
            "accounts for which the model predicts less risk than the band",
            rows & (band_difference < 0),
            rows,
            of,
        ),
    ]


def _overrides(data: ReviewData) -> list[Disagreement]:
    """Plays started for accounts that were green on the last date before."""
    if not data.signals.has("interventions"):
        return []
    table = newest_versions(data.signals.tables["interventions"])
    rows = table.select("account_id", "occurred_at", "held_out").to_pyarrow().to_pandas()
    at = pd.to_datetime(rows["occurred_at"], utc=True)
    quarter = data.window.quarter
    # A missing value counts as not held out.
    acted = rows[(at >= quarter.start) & (at < quarter.end) & ~rows["held_out"].eq(True)]
    positions = [
        _last_row_before(data, str(r.account_id), pd.Timestamp(r.occurred_at, tz="UTC")) for r in acted.itertuples()
    ]
    treated_rows = sorted({position for position in positions if position is not None})
    treated, green = np.zeros(len(data.frame), dtype=bool), data.band == "green"
    treated[treated_rows] = True
    words = "green accounts for which a play was started"
    return [_disagreement(data, "overrides", words, treated & green, treated, "accounts with a play in the quarter")]


def _last_row_before(data: ReviewData, account: str, at: pd.Timestamp) -> int | None:
    """The account's last snapshot before an instant."""
    rows = np.flatnonzero((data.accounts == account) & (data.as_of <= at).to_numpy())
    return int(rows[-1]) if len(rows) else None
