"""The share of churn caused by nonpayment is estimated per account, evaluated out of time, and limited by the data."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.special

from features.definitions.feature import Feature
from features.utils.arrays import Floats, Objects
from models.scorer.linear_terms import LinearTerms
from training.dataset.design_matrix import build_design
from training.evaluation import test_predictions
from training.evaluation.involuntary_churn import (
    BY_ACCOUNT,
    CONSTANT,
    MINIMUM_ACCOUNTS,
    InvoluntaryChurn,
    evaluate_involuntary,
    fit_involuntary,
)

FAILED = "billing.failed_payments"
Catalogue = dict[str, Feature]
ACCOUNTS = 400


@pytest.fixture
def catalogue() -> Catalogue:
    def number(name: str) -> Feature:
        return Feature(name, name.split(".")[0], "usage", name, "number", "", None, None, name)

    return {name: number(name) for name in (FAILED, "usage.noise", "contract.arr")}


def churned(accounts: int = ACCOUNTS, pull: float = 1.5, seed: int = 0) -> tuple[pd.DataFrame, Objects]:
    """Churned snapshots, three dates of each account, and how each ended: with ``pull`` > 0 failed payments predict
    nonpayment, below 0 they predict voluntary churn."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2025-01-06", periods=3, freq="28D", tz="UTC").as_unit("us")
    failed = rng.poisson(1.0, accounts).astype(float)
    unpaid = rng.random(accounts) < scipy.special.expit(-1.5 + pull * (failed - 1))
    frame = pd.DataFrame(
        {
            "account_id": np.tile([f"a{seed}-{i}" for i in range(accounts)], len(dates)),
            "as_of": np.repeat(dates, accounts),
            FAILED: np.tile(failed, len(dates)),
            "usage.noise": rng.normal(size=accounts * len(dates)),
            "contract.arr": rng.lognormal(9, 1, accounts * len(dates)),
        }
    )
    return frame, np.tile(np.where(unpaid, "involuntary", "voluntary").astype(object), len(dates))


def evaluate(frame: pd.DataFrame, kind: Objects, later: tuple[pd.DataFrame, Objects], catalogue: Catalogue) -> InvoluntaryChurn:
    """Evaluate on churned snapshots and as many that stayed, which carry no information about the kind of churn."""
    stayed = frame.assign(account_id="stayed-" + frame["account_id"], **{FAILED: 9.0})
    both = pd.concat([frame, stayed], ignore_index=True)
    y: Floats = np.repeat([1.0, 0.0], len(frame))
    design = build_design(both, {90: y}, 90, 0, catalogue)
    kinds = np.concatenate([kind, np.full(len(frame), None, dtype=object)])
    return evaluate_involuntary(design, kinds[design.row_index], catalogue, *later, resamples=200)


def _shares(model: dict[str, object] | None, evaluation: InvoluntaryChurn, frame: pd.DataFrame) -> Floats:
    """The shares that the scorer computes from what is shipped."""
    assert evaluation.model is not None
    encoding = evaluation.model.encoding
    schema = json.loads(json.dumps({"involuntary": model}, allow_nan=False))
    start = LinearTerms.of(schema, "involuntary", encoding.features, encoding.categories)
    assert start is not None
    shares: Floats = scipy.special.expit(start.intercept + start.parts(encoding.matrix(frame)).sum(axis=1))
    return shares


def test_failed_payments_raise_the_share_and_later_dates_confirm_it(catalogue: Catalogue) -> None:
    evaluation = evaluate(*churned(), churned(seed=1), catalogue)
    frame = churned()[0].head(3).assign(**{FAILED: [0.0, 2.0, 5.0]})
    shares = _shares(evaluation.scorer_parameters(), evaluation, frame)
    assert (np.diff(shares) > 0).all()
    assert ((shares >= 0) & (shares <= 1)).all()
    assert evaluation.ships == BY_ACCOUNT
    assert evaluation.judgement is not None
    assert evaluation.figures is not None
    ours, constant = evaluation.judgement[BY_ACCOUNT], evaluation.judgement[CONSTANT]
    assert ours["roc_auc"].low > 0.6 > constant["roc_auc"].value == 0.5
    assert ours["brier"].value < constant["brier"].value
    assert ours["log_loss"].low <= ours["log_loss"].value <= ours["log_loss"].high
    assert evaluation.figures.ratio[0] == pytest.approx(evaluation.figures.rate / evaluation.figures.expected)
    assert "better than that of a constant share" in evaluation.words


def test_shares_stay_within_bounds_for_extreme_accounts(catalogue: Catalogue) -> None:
    evaluation = evaluate(*churned(), churned(seed=1), catalogue)
    strange = churned()[0].head(3).assign(**{FAILED: [1e9, np.nan, -1e9], "contract.arr": [np.nan, 0.0, 1e15]})
    shares = _shares(evaluation.scorer_parameters(), evaluation, strange)
    assert ((shares >= 0) & (shares <= 1)).all()


def test_constant_share_ships_if_later_churn_contradicts_the_model(catalogue: Catalogue) -> None:
    """Failed payments predicted nonpayment and no longer do: every account gets the share from training."""
    frame, kind = churned()
    evaluation = evaluate(frame, kind, churned(pull=-1.5, seed=1), catalogue)
    assert evaluation.ships == CONSTANT
    share = (kind == "involuntary").mean()
    assert evaluation.known_share == pytest.approx(share)
    assert _shares(evaluation.scorer_parameters(), evaluation, frame.head(20)) == pytest.approx(np.full(20, share))
    assert f"a constant {share:.0%}" in evaluation.words


def test_model_ships_unless_significantly_worse(catalogue: Catalogue) -> None:
    """If nothing predicts nonpayment, the ridge leaves almost no slope, so the model is not worse."""
    evaluation = evaluate(*churned(pull=0.0), churned(pull=0.0, seed=1), catalogue)
    assert evaluation.judgement is not None
    difference = evaluation.judgement.difference(CONSTANT)
    assert difference is not None
    assert evaluation.ships == (CONSTANT if difference.worse else BY_ACCOUNT)
    assert abs(difference.value) < 0.01


@pytest.mark.parametrize("rare", ["involuntary", "voluntary"])
def test_no_model_with_too_few_accounts_of_either_kind(catalogue: Catalogue, rare: str) -> None:
    frame, _ = churned()
    other = "voluntary" if rare == "involuntary" else "involuntary"
    number = np.arange(len(frame)) % ACCOUNTS
    y = np.repeat([1.0, 0.0], len(frame))
    both = pd.concat([frame, frame.assign(account_id="stayed-" + frame["account_id"])], ignore_index=True)
    for accounts, fitted in ((MINIMUM_ACCOUNTS - 1, False), (MINIMUM_ACCOUNTS, True)):
        kind = np.concatenate([np.where(number < accounts, rare, other), np.full(len(frame), None)]).astype(object)
        design = build_design(both, {90: y}, 90, 0, catalogue)
        # Three snapshots of one account count as one account.
        assert (fit_involuntary(design, kind[design.row_index], catalogue) is not None) is fitted


def test_nothing_ships_without_a_model_and_the_text_gives_the_counts(catalogue: Catalogue) -> None:
    frame, kind = churned()
    evaluation = evaluate(frame, np.full(len(kind), "voluntary", dtype=object), churned(seed=1), catalogue)
    assert (evaluation.model, evaluation.scorer_parameters(), evaluation.ships, evaluation.known_share) == (None, None, "nothing", 0.0)
    assert "too few accounts to learn from (0 by nonpayment, 400 otherwise; at least 15 of each)" in evaluation.words
    assert json.loads(json.dumps(evaluation.as_dict(), allow_nan=False))["judgement"] is None


def test_too_few_accounts_at_the_test_dates_are_not_evaluated(catalogue: Catalogue) -> None:
    frame, kind = churned()
    few = np.where(np.arange(len(frame)) % ACCOUNTS < test_predictions.MINIMUM_ACCOUNTS - 1, "involuntary", "voluntary").astype(object)
    evaluation = evaluate(frame, kind, (frame, few), catalogue)
    assert (evaluation.figures, evaluation.judgement, evaluation.ships) == (None, None, BY_ACCOUNT)
    assert evaluation.tested_on == {"involuntary": 9, "voluntary": 391}
    assert "not evaluated: too few accounts on the predicted dates (9 by nonpayment, 391 otherwise; at least 10 of each)" in evaluation.words
    empty = evaluate(frame, kind, (frame.head(0), few[:0]), catalogue)
    assert empty.judgement is None
    assert replace(empty, model=None).ships == "nothing"
