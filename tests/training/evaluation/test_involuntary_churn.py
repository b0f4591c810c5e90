"""Churn by nonpayment is told apart by what announces it, judged out of time, and never by more than the data bears."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.special

from features.definitions.feature import Feature
from features.utils.arrays import Floats, Objects
from models.scorer.linear_terms import _Start
from training.dataset.design_matrix import designed
from training.evaluation import test_predictions
from training.evaluation.involuntary_churn import BY_ACCOUNT, CONSTANT, LEAST, Involuntary, fit_involuntary, involuntary

FAILED = "billing.failed_payments"
Catalogue = dict[str, Feature]
ACCOUNTS = 400


@pytest.fixture
def catalogue() -> Catalogue:
    def number(name: str) -> Feature:
        return Feature(name, name.split(".")[0], "usage", name, "number", "", None, None, name)

    return {name: number(name) for name in (FAILED, "usage.noise", "contract.arr")}


def churned(accounts: int = ACCOUNTS, pull: float = 1.5, seed: int = 0) -> tuple[pd.DataFrame, Objects]:
    """Churned snapshots, three dates of each account, and how each ended: with ``pull`` > 0 failed payments announce
    nonpayment, below 0 they speak against it."""
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


def learned(frame: pd.DataFrame, kind: Objects, later: tuple[pd.DataFrame, Objects], catalogue: Catalogue) -> Involuntary:
    """As many snapshots that stayed go with the churned ones: they tell nothing of how a churn comes about."""
    stayed = frame.assign(account_id="stayed-" + frame["account_id"], **{FAILED: 9.0})
    both = pd.concat([frame, stayed], ignore_index=True)
    y: Floats = np.repeat([1.0, 0.0], len(frame))
    design = designed(both, {90: y}, 90, 0, catalogue)
    kinds = np.concatenate([kind, np.full(len(frame), None, dtype=object)])
    return involuntary(design, kinds[design.place], catalogue, *later, resamples=200)


def _shares(model: dict[str, object] | None, reading: Involuntary, frame: pd.DataFrame) -> Floats:
    """The shares that the scorer makes of what is shipped."""
    assert reading.model is not None
    encoding = reading.model.encoding
    told = json.loads(json.dumps({"involuntary": model}, allow_nan=False))
    start = _Start.of(told, "involuntary", encoding.features, encoding.categories)
    assert start is not None
    found: Floats = scipy.special.expit(start.intercept + start.parts(encoding.matrix(frame)).sum(axis=1))
    return found


def test_failed_payments_raise_the_share_and_the_future_bears_it_out(catalogue: Catalogue) -> None:
    found = learned(*churned(), churned(seed=1), catalogue)
    frame = churned()[0].head(3).assign(**{FAILED: [0.0, 2.0, 5.0]})
    shares = _shares(found.plain(), found, frame)
    assert (np.diff(shares) > 0).all()
    assert ((shares >= 0) & (shares <= 1)).all()
    assert found.ships == BY_ACCOUNT
    assert found.judgement is not None
    assert found.figures is not None
    ours, constant = found.judgement[BY_ACCOUNT], found.judgement[CONSTANT]
    assert ours["roc_auc"].low > 0.6 > constant["roc_auc"].value == 0.5
    assert ours["brier"].value < constant["brier"].value
    assert ours["log_loss"].low <= ours["log_loss"].value <= ours["log_loss"].high
    assert found.figures.ratio[0] == pytest.approx(found.figures.rate / found.figures.expected)
    assert "clearly better than a constant share" in found.words


def test_shares_stay_shares_of_accounts_unlike_any_seen(catalogue: Catalogue) -> None:
    found = learned(*churned(), churned(seed=1), catalogue)
    strange = churned()[0].head(3).assign(**{FAILED: [1e9, np.nan, -1e9], "contract.arr": [np.nan, 0.0, 1e15]})
    shares = _shares(found.plain(), found, strange)
    assert ((shares >= 0) & (shares <= 1)).all()


def test_what_the_later_churned_contradict_gives_way_to_the_constant_share(catalogue: Catalogue) -> None:
    """Failed payments announced nonpayment, and now they speak against it: every account gets what was known."""
    frame, kind = churned()
    found = learned(frame, kind, churned(pull=-1.5, seed=1), catalogue)
    assert found.ships == CONSTANT
    share = (kind == "involuntary").mean()
    assert found.known_share == pytest.approx(share)
    assert _shares(found.plain(), found, frame.head(20)) == pytest.approx(np.full(20, share))
    assert f"a constant {share:.0%}" in found.words


def test_what_is_not_clearly_worse_ships(catalogue: Catalogue) -> None:
    """Where nothing announces nonpayment the ridge leaves hardly a slope: nothing is lost by it."""
    found = learned(*churned(pull=0.0), churned(pull=0.0, seed=1), catalogue)
    assert found.judgement is not None
    apart = found.judgement.difference(CONSTANT)
    assert apart is not None
    assert found.ships == (CONSTANT if apart.worse else BY_ACCOUNT)
    assert abs(apart.value) < 0.01


@pytest.mark.parametrize("rare", ["involuntary", "voluntary"])
def test_too_few_of_either_kind_teach_nothing(catalogue: Catalogue, rare: str) -> None:
    frame, _ = churned()
    other = "voluntary" if rare == "involuntary" else "involuntary"
    number = np.arange(len(frame)) % ACCOUNTS
    y = np.repeat([1.0, 0.0], len(frame))
    both = pd.concat([frame, frame.assign(account_id="stayed-" + frame["account_id"])], ignore_index=True)
    for accounts, fitted in ((LEAST - 1, False), (LEAST, True)):
        kind = np.concatenate([np.where(number < accounts, rare, other), np.full(len(frame), None)]).astype(object)
        design = designed(both, {90: y}, 90, 0, catalogue)
        # Three snapshots of an account are one account.
        assert (fit_involuntary(design, kind[design.place], catalogue) is not None) is fitted


def test_without_a_model_nothing_is_shipped_and_the_counts_say_why(catalogue: Catalogue) -> None:
    frame, kind = churned()
    found = learned(frame, np.full(len(kind), "voluntary", dtype=object), churned(seed=1), catalogue)
    assert (found.model, found.plain(), found.ships, found.known_share) == (None, None, "nothing", 0.0)
    assert "too few accounts to learn from (0 by nonpayment, 400 otherwise; it takes 15 of each)" in found.words
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["judgement"] is None


def test_too_few_on_the_test_dates_are_not_judged(catalogue: Catalogue) -> None:
    frame, kind = churned()
    few = np.where(np.arange(len(frame)) % ACCOUNTS < test_predictions.LEAST - 1, "involuntary", "voluntary").astype(object)
    found = learned(frame, kind, (frame, few), catalogue)
    assert (found.figures, found.judgement, found.ships) == (None, None, BY_ACCOUNT)
    assert found.tested_on == {"involuntary": 9, "voluntary": 391}
    assert "not judged: too few on the test dates (9 by nonpayment, 391 otherwise; it takes 10 of each)" in found.words
    nobody = learned(frame, kind, (frame.head(0), few[:0]), catalogue)
    assert nobody.judgement is None
    assert replace(nobody, model=None).ships == "nothing"
