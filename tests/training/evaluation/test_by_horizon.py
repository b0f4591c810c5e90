"""Every further horizon is evaluated on the pooled predictions of the backtest, or reported with a reason."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from training.evaluation.by_horizon import HorizonRows, evaluate_by_horizon
from training.evaluation.test_predictions import part_metrics


def _rows(days: int, accounts: int = 80, seed: int = 0, base: float = -1.0) -> HorizonRows:
    rng = np.random.default_rng(seed)
    log_odds = base + rng.normal(0, 1.5, accounts)
    p = scipy.special.expit(log_odds)
    names = np.array([f"a{i}" for i in range(accounts)], dtype=object)
    return HorizonRows(days, (rng.random(accounts) < p).astype(np.float64), p, names)


def test_the_predictions_of_all_origins_are_pooled_by_horizon() -> None:
    first, second, other = _rows(30), _rows(30, 60, 1), _rows(180, 70, 2)
    results = evaluate_by_horizon([30, 180], [first, other, second], 0)
    assert [(each.name, each.rows, each.enough, each.words) for each in results] == [
        ("30 days", 140, True, ""),
        ("180 days", 70, True, ""),
    ]
    y, p, accounts = (np.concatenate([getattr(part, name) for part in (first, second)]) for name in ("y", "p", "accounts"))
    alone = part_metrics("30 days", y, p, accounts, 0)
    assert results[0].as_dict() == alone.as_dict() | {"note": ""}
    assert results[0].accounts == 80, "an account counts once, at however many origins"
    assert results[0].roc_auc[0] > 0.65


def test_a_horizon_without_predictions_is_reported() -> None:
    (evaluation,) = evaluate_by_horizon([180], [_rows(30)], 0)
    assert not evaluation.enough
    assert evaluation.words == (
        "180 days: not evaluated (no predicted date has a known outcome, or there was none to learn from)"
    )
    assert np.isnan(evaluation.roc_auc[0])
    assert evaluation.as_dict()["roc_auc"][0] is None


@pytest.mark.parametrize("base", [-30.0, 30.0])
def test_too_few_outcomes_of_either_kind_are_reported(base: float) -> None:
    (evaluation,) = evaluate_by_horizon([30], [_rows(30, base=base)], 0)
    assert not evaluation.enough
    happened = 0 if base < 0 else 80
    assert evaluation.note == f"{happened} accounts with the outcome and {80 - happened} without; at least 10 of each"
    assert evaluation.rate == float(base > 0)
