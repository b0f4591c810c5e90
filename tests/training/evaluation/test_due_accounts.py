"""Candidates are compared among the accounts whose renewal is due, where the renewal date alone cannot help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from training.evaluation.baselines import BASE_RATE, BLEND, RENEWAL_DUE
from training.evaluation.comparison import compare_candidates
from training.evaluation.due_accounts import compare_due
from training.evaluation.test_predictions import MINIMUM_ACCOUNTS, ScoredTestRows

Rows = Callable[..., ScoredTestRows]


def test_only_due_accounts_are_compared(evaluation_rows: Rows) -> None:
    rng = np.random.default_rng(1)
    y = evaluation_rows().y
    p = np.clip(0.1 + 0.4 * y + 0.3 * rng.random(len(y)), 0, 1)
    tested = evaluation_rows(**{BASE_RATE: np.full(len(y), 0.2), BLEND: p})
    comparison = compare_due(tested, 60, 0)
    assert comparison is not None
    due = tested.due
    alone = compare_candidates(
        y[due], {name: each[due] for name, each in tested.p.items()}, tested.accounts[due], tested.arr[due],
        np.full(due.sum(), 0.2), BLEND, 60, 0,
    )  # fmt: skip
    assert comparison.as_dict() == alone.as_dict()
    assert comparison.size["rows"] == due.sum() < len(y)
    # Predictions of the other accounts have no influence.
    other = evaluation_rows(**{BASE_RATE: np.full(len(y), 0.2), BLEND: np.where(due, p, 0.9)})
    again = compare_due(other, 60, 0)
    assert again is not None
    assert again.as_dict() == comparison.as_dict()


def test_the_renewal_date_ranks_all_accounts_but_not_the_due_ones(evaluation_rows: Rows) -> None:
    """A model that knows the date only looks good overall; the comparison among due accounts shows that it is not."""
    due = evaluation_rows().due
    y = (due & (np.random.default_rng(2).random(len(due)) < 0.5)).astype(np.float64)
    date = np.where(due, 0.5, 0.01)
    tested = evaluation_rows(y=y, **{BASE_RATE: np.full(len(y), y.mean()), RENEWAL_DUE: date, BLEND: date})
    every = compare_candidates(y, tested.p, tested.accounts, tested.arr, y.mean(), BLEND, 60, 0)
    among = compare_due(tested, 60, 0)
    assert among is not None
    assert every[BLEND]["roc_auc"].low > 0.75
    assert among[BLEND]["roc_auc"].value == 0.5
    assert among.grade == "none"


def test_too_few_due_accounts_are_not_compared(evaluation_rows: Rows) -> None:
    tested = evaluation_rows(**{BLEND: np.full(400, 0.2)})
    with_outcome = np.flatnonzero(tested.due & (tested.y == 1))
    accounts = list(dict.fromkeys(tested.accounts[with_outcome]))[: MINIMUM_ACCOUNTS - 1]
    few = tested.due & ((tested.y == 0) | np.isin(tested.accounts.astype(str), accounts))
    assert compare_due(replace(tested, due=few), 60, 0) is None
    assert compare_due(replace(tested, due=np.zeros(400, dtype=bool)), 60, 0) is None
    assert compare_due(replace(tested, due=tested.y == 1), 60, 0) is None
