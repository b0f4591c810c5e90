"""What a ranking is worth to a team, figures by segment, and the pictures of both."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pandas as pd
import pytest

from features.catalogue import CATALOGUE
from training.contenders import BASE_RATE, BLEND
from training.pictures import at_capacity, beeswarm, by_dimension, gain, reliability
from training.steps import Floats
from training.tested import JudgedRows, by_segment, worked

DATES, ACCOUNTS = 4, 100
RNG = np.random.default_rng(0)
Y = (RNG.random(DATES * ACCOUNTS) < 0.2).astype(float)


def judged(**p: Floats) -> JudgedRows:
    names = np.array([f"a{i}" for _ in range(DATES) for i in range(ACCOUNTS)], dtype=object)
    dates = pd.Series(pd.date_range("2026-01-05", periods=DATES, freq="7D", tz="UTC").repeat(ACCOUNTS))
    segment = np.array(["big" if i % 4 == 0 else "small" for _ in range(DATES) for i in range(ACCOUNTS)], dtype=object)
    return JudgedRows(names, dates, segment, Y, np.where(segment == "big", 100.0, 1.0), p)


def test_a_perfect_ranking_finds_as_many_as_there_is_time_for() -> None:
    found = {w.candidate: w for w in worked(judged(best=Y, none=np.full(len(Y), 0.2)), 10, 0.5, 3.0)}
    per_date = Y.reshape(DATES, ACCOUNTS).sum(axis=1)
    assert found["best"].caught[0] == pytest.approx(np.minimum(per_date, 10).sum() / per_date.sum())
    assert found["best"].saves[0] == pytest.approx(0.5 * np.minimum(per_date, 10).mean())
    # Equal probabilities share the team's time, as no ranking at all does: a tenth of it for a tenth of the accounts.
    for name in ("none", "random"):
        assert found[name].caught[0] == pytest.approx(0.1)
        assert found[name].caught_arr[0] == pytest.approx(0.1)
    assert found["best"].cost == 30.0


def test_enough_time_for_all_needs_no_ranking() -> None:
    for w in worked(judged(worst=1 - Y), ACCOUNTS + 5, 1.0, 0.0):
        assert w.caught == w.caught_arr == (1.0, 1.0, 1.0)


def test_money_is_counted_where_it_is() -> None:
    """Ranking by size finds most of the ARR and few of the accounts."""
    data = judged(size=np.where(np.arange(len(Y)) % 4 == 0, 0.9, 0.1))
    size = next(w for w in worked(data, 25, 1.0, 0.0) if w.candidate == "size")
    assert size.caught_arr[0] > 0.9 > 0.4 > size.caught[0]


def test_segments_are_told_apart_and_small_ones_have_no_figures() -> None:
    p = np.clip(0.1 + 0.5 * Y + 0.1 * RNG.random(len(Y)), 0, 1)
    big, small = by_segment(judged(**{BLEND: p}), BLEND)
    assert (big.name, small.name) == ("big", "small")
    assert big.rows + small.rows == len(Y)
    assert small.roc_auc[0] == pytest.approx(1.0)
    few = judged(**{BLEND: p})
    rare = JudgedRows(few.accounts, few.as_of, few.segment, np.where(few.segment == "big", 0.0, few.y), few.arr, few.p)
    assert np.isnan(by_segment(rare, BLEND)[0].roc_auc).all()
    assert by_segment(rare, BLEND)[0].as_dict()["roc_auc"] == [None, None, None]


def test_pictures_can_be_drawn_twice_alike() -> None:
    p = np.clip(0.1 + 0.3 * Y + 0.4 * RNG.random(len(Y)), 0, 1)
    data = judged(**{BASE_RATE: np.full(len(Y), 0.2), "logistic_regression": p**1.2, BLEND: p})
    names = tuple(list(CATALOGUE)[::9])
    matrix = RNG.normal(size=(60, len(names)))

    def drawn() -> list[bytes]:
        figures = [
            reliability("churn", data),
            gain("churn", data),
            at_capacity("churn", worked(data, 10, 0.5, 0.0)),
            beeswarm("churn", 0.1 * matrix, matrix, names, CATALOGUE),
            by_dimension("churn", 0.1 * matrix, names, CATALOGUE),
        ]
        files = [BytesIO() for _ in figures]
        for figure, file in zip(figures, files, strict=True):
            figure.savefig(file, format="png")
        return [file.getvalue() for file in files]

    once = drawn()
    assert all(len(picture) > 5_000 for picture in once)
    assert once == drawn()
