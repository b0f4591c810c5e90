"""Disagreements: where the score was wrong, where rule and model differ now, and where people acted against the
score."""

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
    """One account, with the last snapshot that shows it: score, ARR, and of the model its probability of churn."""

    account_id: str
    as_of: str
    score: float | None
    arr: float
    probability: float | None


class Disagreement(ReviewModel):
    """Accounts of one kind: how many, their ARR, ``share`` of what (``of``, in words), and the largest by ARR."""

    kind: str
    words: str
    accounts: int
    arr: float
    share: ReviewFigure
    of: str
    largest: tuple[DisagreeingAccount, ...]


def find_disagreements(seen: ReviewData) -> tuple[Disagreement, ...]:
    """Green that churned, red that stayed and had to renew, rule and model apart, and overrides."""
    renewing = number_column(seen.frame, RENEWAL)
    due = (renewing >= 0) & (renewing < seen.window.horizon_days) if seen.contractual else np.ones(len(renewing), bool)
    green, red = seen.band == "green", seen.band == "red"
    gone, stayed = seen.judged & (seen.churn == 1), seen.judged & (seen.churn == 0)
    told = [
        _one(
            seen,
            "green_that_churned",
            "green, and left within the horizon",
            gone & green,
            gone,
            "of the accounts that left",
        ),
        _one(
            seen,
            "red_that_renewed",
            "red, with a renewal due within the horizon, and stayed" if seen.contractual else "red, and stayed",
            stayed & red & due,
            seen.judged & red & due,
            "of the red accounts that were due",
        ),
        *_apart(seen),
        *_overrides(seen),
    ]
    return tuple(told)


def _one(seen: ReviewData, kind: str, words: str, rows: np.ndarray, whole: np.ndarray, of: str) -> Disagreement:
    picked = pd.DataFrame(
        {"account_id": seen.accounts[rows], "as_of": seen.as_of[rows].to_numpy(), "place": np.flatnonzero(rows)}
    )
    last = picked.sort_values("as_of").groupby("account_id").tail(1)
    places = last["place"].to_numpy(dtype=np.int64)
    largest = sorted(places, key=lambda place: -seen.arr[place])[:MAX_LISTED]
    # By account, each once: an account counts where any of its snapshots does.
    people = pd.unique(seen.accounts[whole])
    resampled, mine = (
        AccountResamples(np.asarray(people, dtype=object)),
        np.isin(people.astype(str), last["account_id"].astype(str)),
    )
    return Disagreement(
        kind=kind,
        words=words,
        accounts=len(last),
        arr=float(seen.arr[places].sum()),
        share=resampled.ratio(mine, np.ones(len(people)), len(last)),
        of=of,
        largest=tuple(_named(seen, place) for place in largest),
    )


def _named(seen: ReviewData, place: int) -> DisagreeingAccount:
    score, p = seen.score[place], seen.probability[place]
    return DisagreeingAccount(
        account_id=str(seen.accounts[place]),
        as_of=str(pd.Timestamp(seen.as_of.iloc[place]).date()),
        score=float(score) if np.isfinite(score) else None,
        arr=float(seen.arr[place]),
        probability=float(p) if np.isfinite(p) else None,
    )


def _apart(seen: ReviewData) -> list[Disagreement]:
    bundle = seen.champion.bundles.get("churn")
    if bundle is None:
        return []
    rows = seen.newest & np.isfinite(seen.probability)
    bands = risk_band(whole_points(risk_score(seen.probability, bundle.manifest.base_rate)))
    further = np.array(
        [
            CHURN_ORDER[risk] - HEALTH_ORDER[health] if risk in CHURN_ORDER and health in HEALTH_ORDER else 0
            for risk, health in zip(bands, seen.band, strict=True)
        ]
    )
    of = "of the accounts of the newest date"
    return [
        _one(seen, "model_worse", "the model sees more risk than the score's band", rows & (further > 0), rows, of),
        _one(seen, "model_better", "the model sees less risk than the score's band", rows & (further < 0), rows, of),
    ]


def _overrides(seen: ReviewData) -> list[Disagreement]:
    """People who acted against the score: an intervention on an account that was green at the date before it."""
    if not seen.signals.has("interventions"):
        return []
    table = newest_versions(seen.signals.tables["interventions"])
    rows = table.select("account_id", "occurred_at", "held_out").to_pyarrow().to_pandas()
    at = pd.to_datetime(rows["occurred_at"], utc=True)
    quarter = seen.window.quarter
    # Unknown is not held out.
    acted = rows[(at >= quarter.start) & (at < quarter.end) & ~rows["held_out"].eq(True)]
    places = [_place(seen, str(r.account_id), pd.Timestamp(r.occurred_at, tz="UTC")) for r in acted.itertuples()]
    known = sorted({place for place in places if place is not None})
    treated, green = np.zeros(len(seen.frame), dtype=bool), seen.band == "green"
    treated[known] = True
    words = "green when somebody started a play all the same"
    return [_one(seen, "overrides", words, treated & green, treated, "of the accounts treated in the quarter")]


def _place(seen: ReviewData, account: str, at: pd.Timestamp) -> int | None:
    """The account's last snapshot before an instant."""
    rows = np.flatnonzero((seen.accounts == account) & (seen.as_of <= at).to_numpy())
    return int(rows[-1]) if len(rows) else None
