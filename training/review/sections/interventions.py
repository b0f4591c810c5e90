"""Interventions: who was treated, who was held out at random, how many were saved, and what that says of the plays."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.sources.engine import newest_versions
from training.dataset.labels import label
from training.review.dataset import ReviewData
from training.review.figure import AccountResamples, ReviewFigure, ReviewModel, undefined_figure

#: Accounts treated and held out, below which no uplift is told.
MINIMUM_ACCOUNTS = 10


class PlayOutcomes(ReviewModel):
    """One play: how often it ended saved or lost, of those that began in the quarter."""

    play: str
    begun: int
    saved: int
    lost: int
    save_rate: ReviewFigure


class InterventionOutcomes(ReviewModel):
    """``begun`` and ``held_out`` are of the quarter. ``churn_treated`` and ``churn_held_out`` are of all interventions
    whose outcome is known by its end; ``uplift`` is how much less often the treated left, in points of probability, and
    is told only where accounts were held out at random. ``save_rate`` is what people reported, which says less."""

    recorded: bool
    begun: int
    accounts: int
    held_out: int
    saved: int
    lost: int
    save_rate: ReviewFigure
    plays: tuple[PlayOutcomes, ...]
    churn_treated: ReviewFigure
    churn_held_out: ReviewFigure
    uplift: ReviewFigure
    words: str


def intervention_outcomes(seen: ReviewData) -> InterventionOutcomes:
    """The table of interventions, where there is one."""
    if not seen.signals.has("interventions"):
        return _none("no interventions are recorded in the signals")
    wanted = ("account_id", "occurred_at", "play", "held_out", "result")
    rows = newest_versions(seen.signals.tables["interventions"]).select(*wanted).to_pyarrow().to_pandas()
    rows = rows.assign(occurred_at=pd.to_datetime(rows["occurred_at"], utc=True), held_out=rows["held_out"].eq(True))
    quarter = seen.window.quarter
    inside = rows[(rows["occurred_at"] >= quarter.start) & (rows["occurred_at"] < quarter.end)]
    acted = inside[~inside["held_out"]]
    plays = tuple(_play(str(name), mine) for name, mine in acted.groupby("play"))
    left, kept, uplift, words = _uplift(seen, rows)
    return InterventionOutcomes(
        recorded=True,
        begun=len(acted),
        accounts=int(acted["account_id"].nunique()),
        held_out=int(inside["held_out"].sum()),
        saved=int((acted["result"] == "saved").sum()),
        lost=int((acted["result"] == "lost").sum()),
        save_rate=_saved(acted),
        plays=plays,
        churn_treated=left,
        churn_held_out=kept,
        uplift=uplift,
        words=words,
    )


def _play(name: str, rows: pd.DataFrame) -> PlayOutcomes:
    saved, lost = ((rows["result"] == result).sum() for result in ("saved", "lost"))
    return PlayOutcomes(play=name, begun=len(rows), saved=int(saved), lost=int(lost), save_rate=_saved(rows))


def _saved(rows: pd.DataFrame) -> ReviewFigure:
    ended = rows[rows["result"].isin(["saved", "lost"])]
    if ended.empty:
        return undefined_figure()
    resampled = AccountResamples(ended["account_id"].to_numpy(dtype=object))
    saved = (ended["result"] == "saved").to_numpy()
    return resampled.ratio(saved, np.ones(len(ended)), resampled.people(saved))


def _uplift(seen: ReviewData, rows: pd.DataFrame) -> tuple[ReviewFigure, ReviewFigure, ReviewFigure, str]:
    if rows.empty:
        return undefined_figure(), undefined_figure(), undefined_figure(), "no intervention is recorded"
    keys = rows[["account_id"]].assign(as_of=rows["occurred_at"].to_numpy()).reset_index(drop=True)
    keys["as_of"] = pd.to_datetime(keys["as_of"], utc=True)
    y = label(seen.signals, keys, seen.window.horizon_days, seen.window.grace_days)["churn"].to_numpy(dtype=np.float64)
    known = np.isfinite(y)
    out = rows["held_out"].to_numpy(dtype=bool)[known]
    y, accounts = y[known], keys["account_id"].to_numpy(dtype=object)[known]
    if not len(y):
        return undefined_figure(), undefined_figure(), undefined_figure(), "of no intervention the outcome is known yet"
    resampled = AccountResamples(accounts)
    events = [resampled.people(mine & (y == 1)) for mine in (~out, out)]
    left, kept = (resampled.ratio(mine * y, mine, n) for mine, n in zip((~out, out), events, strict=True))
    people = [resampled.people(mine) for mine in (~out, out)]
    if not out.any():
        return (
            left,
            kept,
            undefined_figure(sum(events)),
            "nobody was held out at random, so that what the plays achieve is not known",
        )
    if min(people) < MINIMUM_ACCOUNTS:
        words = f"{people[1]} accounts were held out and {people[0]} treated: under {MINIMUM_ACCOUNTS} say nothing"
        return left, kept, undefined_figure(sum(events)), words
    uplift = resampled.apart((out * y, out), (~out * y, ~out), sum(events))
    clear = uplift.low is not None and uplift.low > 0
    words = "fewer of the treated left than of those held out" if clear else "that plays keep accounts is not clear"
    return left, kept, uplift, words


def _none(words: str) -> InterventionOutcomes:
    gone = undefined_figure()
    return InterventionOutcomes(
        recorded=False,
        begun=0,
        accounts=0,
        held_out=0,
        saved=0,
        lost=0,
        save_rate=gone,
        plays=(),
        churn_treated=gone,
        churn_held_out=gone,
        uplift=gone,
        words=words,
    )
