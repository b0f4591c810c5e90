"""Design matrix: purged labels, row weights, and several horizons in one model."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.definitions.feature import Feature
from features.errors import InsufficientData
from features.utils.arrays import Floats
from models.scorer.base import RENEWAL_FEATURE, TERM_FEATURE
from models.scorer.encoding import HORIZON_COLUMNS, horizon_columns
from models.scorer.scorer import Scorer
from training.dataset.design_matrix import Design, build_design
from training.dataset.inner_folds import SEARCH_STEP_DAYS
from training.estimators import gradient_boosting
from training.estimators.ensemble import Ensemble, fit_ensemble, search_ensemble
from training.estimators.logistic_regression import RidgeSettings, fit_linear

IDENTITY = {"kind": "sigmoid", "parameters": {"a": 1.0, "b": 0.0}, "resamples": [{"a": 1.0, "b": 0.0}] * 10}
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
WEEKS, ACCOUNTS = 60, 80
HORIZONS = (30, 60, 90, 180)


def _number(name: str) -> Feature:
    return Feature(
        name,
        name.split(".")[0],
        "contract",
        name,
        "number",
        "days",
        words=name,
        direction=None,
        expansion_direction=None,
    )


CATALOGUE = {name: _number(name) for name in (RENEWAL_FEATURE, TERM_FEATURE, "usage.mood")}


@pytest.fixture(scope="module")
def portfolio() -> tuple[pd.DataFrame, dict[int, Floats]]:
    """Yearly contracts that mostly end at their renewal, and the sooner the worse the mood."""
    rng = np.random.default_rng(3)
    mood = np.repeat(rng.normal(size=ACCOUNTS), WEEKS)
    week = np.tile(np.arange(WEEKS), ACCOUNTS)
    until = (np.repeat(rng.integers(0, 365, ACCOUNTS), WEEKS) - 7 * week) % 365
    leaves = rng.random((ACCOUNTS, 1)).repeat(WEEKS, axis=1).ravel() < 1 / (1 + np.exp(-1.5 * mood))
    # Late in the term, or after a while without it.
    when = np.where(leaves, until + 1, 200)
    frame = pd.DataFrame(
        {
            "account_id": np.repeat([f"a{i}" for i in range(ACCOUNTS)], WEEKS),
            "as_of": pd.to_datetime([FIRST + timedelta(weeks=int(w)) for w in week], utc=True),
            RENEWAL_FEATURE: until.astype(float),
            TERM_FEATURE: 365.0,
            "usage.mood": mood + 0.3 * rng.normal(size=len(mood)),
        }
    )
    through = FIRST + timedelta(weeks=WEEKS)
    labelled = {h: frame["as_of"] + timedelta(days=h + 30) <= through for h in HORIZONS}
    return frame, {h: np.where(labelled[h], (when < h).astype(float), np.nan) for h in HORIZONS}


def test_no_label_window_ends_after_the_limit(portfolio: tuple[pd.DataFrame, dict[int, Floats]]) -> None:
    frame, labels = portfolio
    before = FIRST + timedelta(weeks=40)
    design = build_design(frame, labels, 90, 30, CATALOGUE, before)
    horizon = design.matrix[:, design.encoding.columns.index("horizon.days")]
    ends = design.as_of + pd.to_timedelta(horizon + 30, unit="D")
    assert ends.max() <= before
    # The shorter the horizon, the newer its newest outcome.
    newest = design.as_of.groupby(horizon).max()
    assert newest.is_monotonic_decreasing
    assert newest.index.tolist() == list(HORIZONS)


def test_weights_do_not_depend_on_the_grid_step(portfolio: tuple[pd.DataFrame, dict[int, Floats]]) -> None:
    frame, labels = portfolio
    weekly = build_design(frame, {90: labels[90]}, 90, 30, CATALOGUE)
    rows = (((frame["as_of"] - pd.Timestamp(FIRST)).dt.days % 14) == 0).to_numpy()
    coarse = build_design(frame[rows].reset_index(drop=True), {90: labels[90][rows]}, 90, 30, CATALOGUE)
    assert coarse.weight.sum() == pytest.approx(weekly.weight.sum(), rel=0.05)
    assert weekly.search_rows().weight.sum() == pytest.approx(weekly.weight.sum(), rel=0.1)


@pytest.mark.parametrize("always", [0.0, 1.0])
def test_labels_of_one_class_are_refused(portfolio: tuple[pd.DataFrame, dict[int, Floats]], always: float) -> None:
    """Labels cut at an account's last event look like this: silence is never seen, and no one ever leaves."""
    frame, labels = portfolio
    with pytest.raises(InsufficientData, match="only one outcome occurs at the training dates"):
        build_design(frame, labels | {90: np.full(len(frame), always)}, 90, 30, CATALOGUE)


def test_later_rows_do_not_affect_the_columns(portfolio: tuple[pd.DataFrame, dict[int, Floats]]) -> None:
    frame, labels = portfolio
    before = FIRST + timedelta(weeks=40)
    later = (frame["as_of"] >= pd.Timestamp(before)).to_numpy()
    strange = frame.assign(**{"usage.mood": frame["usage.mood"].where(~later, 1e9)})
    one, other = (build_design(f, labels, 90, 30, CATALOGUE, before) for f in (frame, strange))
    ridge = RidgeSettings(0.1, {})
    assert (
        fit_linear(one, ridge, CATALOGUE).scorer_parameters() == fit_linear(other, ridge, CATALOGUE).scorer_parameters()
    )


def test_members_share_the_dates(portfolio: tuple[pd.DataFrame, dict[int, Floats]]) -> None:
    """Each member uses dates some four weeks apart, and all members together every row of the main horizon, at the same
    total weight."""
    frame, labels = portfolio
    design = build_design(frame, labels, 90, 30, CATALOGUE)
    everyone = np.ones(len(design.y), dtype=bool)
    members = [design.member_rows(number, everyone) for number in range(4)]
    together = np.concatenate([member.row_index[member.main] for member in members])
    assert sorted(together) == sorted(design.row_index[design.main])
    for member in members:
        dates = np.sort(member.as_of[member.main].unique())
        assert set(np.diff(dates) / np.timedelta64(1, "D")) == {SEARCH_STEP_DAYS}
        assert member.weight[member.main].sum() == pytest.approx(design.weight[design.main].sum(), rel=0.1)
        # Other horizons still weigh at most half as much.
        assert member.weight[~member.main].max() <= 0.5
    # A fifth member starts again with the dates of the first one.
    assert (design.member_rows(4, everyone).row_index == members[0].row_index).all()


def test_members_use_only_the_accounts_outside_their_fold(portfolio: tuple[pd.DataFrame, dict[int, Floats]]) -> None:
    frame, labels = portfolio
    design = build_design(frame, labels, 90, 30, CATALOGUE)
    outside = design.accounts != "a7"
    assert all("a7" not in design.member_rows(number, outside).accounts for number in range(4))


def test_a_member_without_both_outcomes_uses_all_dates(portfolio: tuple[pd.DataFrame, dict[int, Floats]]) -> None:
    """The outcomes may all be at the dates of another member."""
    frame, labels = portfolio
    dates = np.sort(frame["as_of"][np.isfinite(labels[90])].unique())
    at_one_date = (frame["as_of"] == dates[-2]).to_numpy()
    y = np.where(np.isfinite(labels[90]), labels[90] * at_one_date, np.nan)
    design = build_design(frame, {90: y}, 90, 30, CATALOGUE)
    everyone = np.ones(len(design.y), dtype=bool)
    first, second = (design.member_rows(number, everyone) for number in range(2))
    assert set(second.as_of) < set(design.as_of)
    assert set(first.as_of) == set(design.as_of)
    assert (first.weight == design.weight).all()


def fit(design: Design) -> Ensemble:
    return fit_ensemble(design, search_ensemble(design, CATALOGUE, "churn", trials=1), CATALOGUE, "churn", folds=2)


def scorer_of(ensemble: Ensemble) -> Scorer:
    return Scorer.from_texts(ensemble.text, ensemble.encoding.schema | ensemble.scorer_parameters(), IDENTITY)


@pytest.fixture(scope="module")
def ensemble(portfolio: tuple[pd.DataFrame, dict[int, Floats]]) -> Ensemble:
    frame, labels = portfolio
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradient_boosting, "MOST_TREES", 60)
        return fit(build_design(frame, labels, 90, 30, CATALOGUE))


def test_probabilities_never_fall_with_the_horizon(
    portfolio: tuple[pd.DataFrame, dict[int, Floats]], ensemble: Ensemble
) -> None:
    frame, labels = portfolio
    holes = frame.mask(np.random.default_rng(0).random(frame.shape) < 0.1)
    scorer = scorer_of(ensemble)
    result = np.array(list(scorer.by_horizon(scorer.encode(holes).matrix).values()))
    assert result.shape == (len(HORIZONS), len(frame))
    assert (np.diff(result, axis=0) >= -1e-12).all()
    # And each is about right: the mean over rows whose outcome is known.
    for days, p in zip(HORIZONS, np.array(list(scorer.by_horizon(scorer.encode(frame).matrix).values())), strict=True):
        labelled = np.isfinite(labels[days])
        assert p[labelled].mean() == pytest.approx(labels[days][labelled].mean(), abs=0.05)


def test_contributions_in_the_scorer_add_up(
    portfolio: tuple[pd.DataFrame, dict[int, Floats]], ensemble: Ensemble
) -> None:
    frame, _ = portfolio
    scorer = scorer_of(ensemble)
    matrix = scorer.encode(frame).matrix
    for days in HORIZONS:
        assert scorer.raw(matrix, days) == pytest.approx(ensemble.raw(frame, days), abs=1e-9)
    parts = scorer.contributions(matrix)
    assert parts.shape == (len(frame), len(scorer.features) + 1)
    assert parts.sum(axis=1) == pytest.approx(ensemble.raw(frame), abs=1e-6)


def test_the_horizon_is_not_a_reason(
    portfolio: tuple[pd.DataFrame, dict[int, Floats]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accounts leave at any time, whatever their renewal: a longer horizon makes it likelier for all of them, which is no
    reason of any of them."""
    frame, available = portfolio
    rng = np.random.default_rng(8)
    when = rng.exponential(np.where(frame["usage.mood"] > 0, 120.0, 400.0))
    labels = {h: np.where(np.isfinite(available[h]), when < h, np.nan).astype(np.float64) for h in HORIZONS}
    design = build_design(frame, labels, 90, 30, CATALOGUE)
    monkeypatch.setattr(gradient_boosting, "MOST_TREES", 60)
    scorer = scorer_of(fit(design))
    matrix = scorer.encode(frame).matrix
    parts = scorer.contributions(matrix)
    assert parts.sum(axis=1) == pytest.approx(scorer.raw(matrix), abs=1e-6)
    assert abs(parts[:, scorer.features.index(RENEWAL_FEATURE)].mean()) < 0.03
    # The base is what the average account has within that time; the other horizons have no part in it.
    assert parts[:, -1] == pytest.approx(np.full(len(frame), scorer.raw(matrix).mean()), abs=0.1)


@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.floats(-50, 800)), st.one_of(st.none(), st.floats(1, 1100))), min_size=1
    ),
    st.integers(1, 400),
    st.integers(0, 400),
)
def test_horizon_columns_never_fall_with_the_horizon(
    terms: list[tuple[float | None, float | None]], days: int, more: int
) -> None:
    matrix = np.array(terms, dtype=np.float64)
    short, long = (horizon_columns(matrix, (RENEWAL_FEATURE, TERM_FEATURE), d) for d in (days, days + more))
    assert short.shape == (len(terms), len(HORIZON_COLUMNS))
    assert (np.isnan(short) == np.isnan(long)).all()
    assert not (long < short).any()
