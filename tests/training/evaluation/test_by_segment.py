"""Segments with enough accounts are evaluated like the portfolio, for every candidate and metric."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from features.utils.arrays import Floats
from training.evaluation.baselines import BASE_RATE, BLEND
from training.evaluation.by_segment import RESAMPLES, evaluate_by_segment
from training.evaluation.comparison import compare_candidates
from training.evaluation.test_predictions import MINIMUM_ACCOUNTS, ScoredTestRows

MakeRows = Callable[..., ScoredTestRows]


@pytest.fixture
def probabilities(evaluation_rows: MakeRows) -> dict[str, Floats]:
    """A good model, a rival that is noise, and the base rate."""
    y, rng = evaluation_rows().y, np.random.default_rng(3)
    good = np.clip(0.1 + 0.5 * y + 0.1 * rng.random(len(y)), 0, 1)
    return {BASE_RATE: np.full(len(y), 0.2), "health_score": rng.uniform(0.05, 0.4, len(y)), BLEND: good}


def test_a_segment_is_evaluated_on_its_rows_only(evaluation_rows: MakeRows, probabilities: dict[str, Floats]) -> None:
    data = evaluation_rows(**probabilities)
    small = evaluate_by_segment(data, BLEND, 10)[1]
    rows = data.segment == "small"
    alone = compare_candidates(
        data.y[rows], {n: p[rows] for n, p in probabilities.items()}, data.accounts[rows], data.arr[rows], data.known_rate[rows], BLEND, RESAMPLES
    )
    assert small.judgement is not None
    assert small.judgement.as_dict() == alone.as_dict()
    assert {row.candidate for row in alone.rows} == set(probabilities)


def test_segments_have_every_metric_of_every_candidate(
    evaluation_rows: MakeRows, probabilities: dict[str, Floats]
) -> None:
    data = evaluation_rows(**probabilities)
    whole = compare_candidates(data.y, probabilities, data.accounts, data.arr, 0.2, resamples=20)
    for segment in evaluate_by_segment(data, BLEND, 10):
        assert segment.judgement is not None
        for row, of_all in zip(segment.judgement.rows, whole.rows, strict=True):
            assert [m.name for m in row.metrics] == [m.name for m in of_all.metrics]
            assert row["brier"].low <= row["brier"].value <= row["brier"].high
        assert {one.candidate for one in segment.at_capacity} == {*probabilities, "random"}
        # One candidate's figures are the same ones, wherever they stand.
        ours = segment.judgement[BLEND]["roc_auc"]
        assert segment.roc_auc == (ours.value, ours.low, ours.high)


def test_segments_partition_the_rows(evaluation_rows: MakeRows, probabilities: dict[str, Floats]) -> None:
    data = evaluation_rows(**probabilities)
    big, small = evaluate_by_segment(data, BLEND, 10)
    assert (big.name, small.name) == ("big", "small")
    assert big.rows + small.rows == len(data.y)
    assert small.roc_auc[0] == pytest.approx(1.0)


def test_small_segments_have_counts_and_no_metrics(evaluation_rows: MakeRows, probabilities: dict[str, Floats]) -> None:
    big = evaluation_rows().segment == "big"
    # Nine of the 25 big accounts have it, each at each date: one account fewer than it takes.
    numbers = np.tile(np.arange(100), 4)
    y = np.where(big, (numbers < 4 * (MINIMUM_ACCOUNTS - 1)).astype(float), evaluation_rows().y)
    few, enough = evaluate_by_segment(evaluation_rows(y=y, **probabilities), BLEND, 10)
    assert (few.happened, few.enough, few.judgement, few.at_capacity) == (MINIMUM_ACCOUNTS - 1, False, None, ())
    assert np.isnan([few.ratio, few.roc_auc, few.brier]).all()
    assert enough.enough
    payload = json.loads(json.dumps([few.as_dict(), enough.as_dict()], allow_nan=False))
    assert payload[0]["roc_auc"] == [None, None, None]
    assert payload[1]["judgement"]["rows"][0]["candidate"] == BASE_RATE
    y = np.where(big, (numbers < 4 * MINIMUM_ACCOUNTS).astype(float), evaluation_rows().y)
    assert evaluate_by_segment(evaluation_rows(y=y, **probabilities), BLEND, 10)[0].judgement is not None
