"""The method as a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from training.estimators.sklearn_classifier import RenewalClassifier


def _accounts(rows: int = 600, seed: int = 0) -> tuple[pd.DataFrame, pd.Series[str]]:
    """Less use and a monthly plan make leaving likelier; a column of noise says nothing."""
    rng = np.random.default_rng(seed)
    use = rng.normal(size=rows)
    plan = rng.choice(["monthly", "yearly"], rows)
    p = 1 / (1 + np.exp(1 + 1.2 * use - 1.5 * (plan == "monthly")))
    frame = pd.DataFrame({"use": use, "plan": plan, "noise": rng.normal(size=rows)})
    frame.loc[::9, "use"] = np.nan
    frame.loc[::13, "plan"] = None
    return frame, pd.Series(np.where(rng.random(rows) < p, "left", "stayed"))


@pytest.fixture(scope="module")
def fitted() -> RenewalClassifier:
    return RenewalClassifier(trials=2, directions={"use": 1}).fit(*_accounts())


@pytest.mark.slow
@parametrize_with_checks([RenewalClassifier(trials=1)])
def test_scikit_learn_estimator_checks(estimator: RenewalClassifier, check: Callable[[Any], None]) -> None:
    check(estimator)


def test_the_classifier_separates_the_classes(fitted: RenewalClassifier) -> None:
    later, happened = _accounts(seed=1)
    p = fitted.predict_proba(later)
    assert list(fitted.classes_) == ["left", "stayed"]
    assert p.sum(axis=1) == pytest.approx(1)
    assert roc_auc_score(happened == "stayed", p[:, 1]) > 0.75
    assert p[:, 1].mean() == pytest.approx((happened == "stayed").mean(), abs=0.06)
    assert set(fitted.predict(later)) == {"left", "stayed"}


def test_a_direction_is_respected(fitted: RenewalClassifier) -> None:
    """More usage never makes staying less likely, for any account."""
    rows, _ = _accounts(40, seed=2)
    lines = [fitted.predict_proba(rows.assign(use=use))[:, 1] for use in np.linspace(-3, 3, 13)]
    assert (np.diff(lines, axis=0) >= -1e-12).all()


def test_an_unseen_level_is_unknown(fitted: RenewalClassifier) -> None:
    rows, _ = _accounts(20, seed=3)
    new, unknown = (fitted.predict_proba(rows.assign(plan=plan)) for plan in ("weekly", None))
    assert (new == unknown).all()


@pytest.mark.slow
def test_keys_are_no_features() -> None:
    """An account's id and date decide where its row is held out, and nothing else."""
    frame, happened = _accounts()
    keyed = frame.assign(account_id=np.arange(len(frame)).astype(str), as_of=pd.Timestamp("2026-01-01", tz="UTC"))
    with_keys, without = (RenewalClassifier(trials=1).fit(inputs, happened) for inputs in (keyed, frame))
    assert list(with_keys.feature_names_in_) == ["use", "plan", "noise"]
    assert (with_keys.predict_proba(keyed) == without.predict_proba(frame)).all()
    assert (with_keys.predict_proba(frame) == without.predict_proba(frame)).all()


@pytest.mark.slow
def test_rows_of_one_account_are_held_out_together() -> None:
    """Noise repeated under one account's name cannot be learnt; repeated under many names it seems to be."""
    rng = np.random.default_rng(5)
    once = pd.DataFrame({"noise": rng.normal(size=150)})
    happened = np.repeat(rng.integers(0, 2, 150), 8)
    many = once.loc[np.repeat(np.arange(150), 8)].reset_index(drop=True)
    honest = RenewalClassifier(trials=1).fit(many.assign(account_id=np.repeat(np.arange(150).astype(str), 8)), happened)
    fooled = RenewalClassifier(trials=1).fit(many, happened)
    assert honest.predict_proba(many)[:, 1].std() < 0.06
    assert fooled.predict_proba(many)[:, 1].std() > 2 * honest.predict_proba(many)[:, 1].std()


@pytest.mark.slow
def test_cross_validation_and_cloning_work() -> None:
    frame, happened = _accounts(300)
    classifier = clone(RenewalClassifier(trials=1, directions={"use": 1}))
    assert classifier.get_params()["directions"] == {"use": 1}
    assert (cross_val_score(classifier, frame, happened, cv=3, scoring="roc_auc") > 0.6).all()


@pytest.mark.parametrize(
    ("directions", "labels", "words"),
    [
        ({"seats": 1}, None, "seats"),
        ({"use": 2}, None, "1 or -1"),
        (None, "stayed", "one class only"),
    ],
)
def test_invalid_input_is_refused(directions: dict[str, int] | None, labels: str | None, words: str) -> None:
    frame, happened = _accounts(60)
    chosen_labels = happened if labels is None else np.full(60, labels)
    with pytest.raises(ValueError, match=words):
        RenewalClassifier(directions=directions).fit(frame, chosen_labels)
