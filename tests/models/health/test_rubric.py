from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.catalogue.catalogue import CATALOGUE, Catalogue
from models.health.rubric import INSUFFICIENT, HealthScores, Rubric, load_rubric, rubric_files, rubric_from_text
from models.health.rubric_schema import PercentileSignal, RubricError
from models.peer_groups.peers import Peers

WHEN = pd.Timestamp("2026-01-05", tz="UTC")
FIVE = load_rubric()

# One account in full. Of the five accounts of its portfolio it has the second highest stickiness (mid-rank 3.5 of 5 are
# 70), the highest breadth (90) and the lowest time per user (10).
WHOLE = """
signal                                 | value | grade  | points | weight | adds
usage.stickiness_7d                    | 0.4   | yellow | 70     | 10     | 7.0
usage.features_used_28d                | 9     | green  | 90     | 10     | 9.0
usage.minutes_per_user_28d             | 5     | red    | 10     | 10     | 1.0
engagement.meetings_kept_share_182d    | 0.8   | green  | 100    | 10     | 10.0
engagement.replies_share_91d           | 0.59  | yellow | 50     | 5      | 2.5
engagement.response_hours_91d          | 24    | green  | 100    | 5      | 5.0
engagement.community_posts_91d         | 0     | yellow | 50     | 5      | 2.5
support.tickets_91d                    | 4     | yellow | 50     | 3      | 1.5
support.severe_91d                     | 0     | green  | 100    | 4      | 4.0
support.csat_182d                      | 3.4   | red    | 0      | 4      | 0.0
support.escalated_91d                  | 1     | red    | 0      | 4      | 0.0
outcomes.goals_met_share_364d          | 0.5   | yellow | 50     | 8      | 4.0
outcomes.roi_last                      | 2     | green  | 100    | 6      | 6.0
usage.events_trend_91d                 | 0.5   | red    | 0      | 6      | 0.0
relationship.champions                 | 1     | yellow | 50     | 4      | 2.0
relationship.executive_sponsors        | 1     | green  | 100    | 3      | 3.0
relationship.contacts                  | 2     | yellow | 50     | 3      | 1.5
"""  # sums to 59.0

# Usage has one signal of three, engagement none, so: usage 30 and outcomes 20 and support 15 and relationship 10 carry
# 75 of 100 and grow by 100/75. Stickiness takes all of usage's 40; goals 8 of 14 of outcomes' 26.667; and so on.
PARTLY = """
signal                                 | value | grade  | points | weight | adds
usage.stickiness_7d                    | 0.4   | yellow | 70     | 40     | 28.0
support.csat_182d                      | 4.5   | green  | 100    | 20     | 20.0
outcomes.goals_met_share_364d          | 0.5   | yellow | 50     | 15.238 | 7.619
outcomes.roi_last                      | 0     | red    | 0      | 11.429 | 0.0
relationship.champions                 | 1     | yellow | 50     | 5.333  | 2.667
relationship.executive_sponsors        | 1     | green  | 100    | 4      | 4.0
relationship.contacts                  | 2     | yellow | 50     | 4      | 2.0
"""  # sums to 64.3, from 10 + 4 + 8 + 6 + 4 + 3 + 3 = 38 of 100


def _table(text: str) -> pd.DataFrame:
    head, *rows = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    table = pd.DataFrame(rows, columns=head)
    return table.astype({"value": float, "points": float, "weight": float, "adds": float})


def _portfolio(account: dict[str, float]) -> pd.DataFrame:
    """The account first, then four others that differ only in usage."""
    others = {
        "usage.stickiness_7d": [0.1, 0.2, 0.3, 0.5],
        "usage.features_used_28d": [1.0, 2.0, 3.0, 4.0],
        "usage.minutes_per_user_28d": [10.0, 20.0, 30.0, 40.0],
    }
    frame = pd.DataFrame([account, *([{}] * 4)]).assign(as_of=WHEN)
    for name, values in others.items():
        if name in account:
            frame.loc[1:, name] = values
    return frame


@pytest.mark.parametrize(("text", "score", "coverage"), [(WHOLE, 59.0, 1.0), (PARTLY, None, 0.38)])
def test_scores_match_examples_computed_by_hand(text: str, score: float | None, coverage: float) -> None:
    expected = _table(text)
    health = FIVE.score(_portfolio(dict(zip(expected["signal"], expected["value"], strict=True))))
    breakdown = health.breakdown(0).dropna(subset="points").reset_index(drop=True)
    pd.testing.assert_frame_equal(breakdown.drop(columns="dimension"), expected, check_dtype=False, rtol=0, atol=6e-4)
    assert health.coverage[0] == pytest.approx(coverage)
    if score is None:
        assert np.isnan(health.score[0])
        assert health.band[0] == INSUFFICIENT
    else:
        assert health.score[0] == score == expected["adds"].sum()
        assert health.band[0] == "yellow"


def test_dimension_points_match_the_example() -> None:
    expected = _table(WHOLE)
    health = FIVE.score(_portfolio(dict(zip(expected["signal"], expected["value"], strict=True))))
    # (70 + 90 + 10) / 3; (10 x 100 + 5 x 50 + 5 x 100 + 5 x 50) / 25; 550 / 15; 1000 / 20; 650 / 10.
    np.testing.assert_allclose(health.dimensions.iloc[0], [170 / 3, 80.0, 550 / 15, 50.0, 65.0])


def test_scores_need_half_of_the_weight(rubric: Rubric) -> None:
    # The small rubric: usage 60 (percentile 40, trend 20), outcomes 40.
    frame = pd.DataFrame(
        {
            "as_of": WHEN,
            "usage.trend_28d": [1.0, 1.0, np.nan],
            "outcomes.nps_last": [9.0, np.nan, np.nan],
        }
    )
    health = rubric.score(frame)
    assert health.coverage.tolist() == [0.6, 0.2, 0.0]
    assert health.band.tolist() == ["green", INSUFFICIENT, INSUFFICIENT]
    np.testing.assert_array_equal(health.score, [100.0, np.nan, np.nan])
    np.testing.assert_allclose(health.weights, [[0, 60, 40], [0, 100, 0], [0, 0, 0]])


def test_no_data_gives_no_score_even_without_minimum_coverage(rubric: Rubric, catalogue: Catalogue) -> None:
    text = rubric.text.replace("minimum_coverage = 0.5", "minimum_coverage = 0.0")
    lenient = rubric_from_text(text, "small.toml", catalogue)
    assert np.isnan(lenient.score(pd.DataFrame({"as_of": [WHEN]})).score[0])


def test_bands_use_the_rounded_score(rubric: Rubric) -> None:
    points = np.array([[100.0, 10.0, 70.0], [69.94] * 3, [69.95] * 3, [39.9] * 3])
    health = HealthScores(rubric, pd.RangeIndex(4), points, points, np.tile(rubric.weights(), (4, 1)))
    # 40 + 2 + 28 = 70.
    assert list(zip(health.score, health.band, strict=True)) == [
        (70.0, "green"),
        (69.9, "yellow"),
        (70.0, "green"),
        (39.9, "red"),
    ]


@pytest.mark.parametrize("order", [1, 2, 3])
def test_scores_do_not_depend_on_the_order_of_accounts(rubric: Rubric, portfolio: pd.DataFrame, order: int) -> None:
    turned = portfolio.sample(frac=1.0, random_state=order)
    one, two = rubric.score(portfolio), rubric.score(turned)
    pd.testing.assert_series_equal(one.score, two.score.sort_index(), check_exact=True)
    np.testing.assert_array_equal(one.weights[turned.index], two.weights)


def test_percentiles_do_not_depend_on_the_unit(rubric: Rubric, portfolio: pd.DataFrame) -> None:
    scaled = portfolio.assign(**{"usage.active_users_28d": portfolio["usage.active_users_28d"] * 1000.0})
    pd.testing.assert_series_equal(rubric.score(portfolio).score, rubric.score(scaled).score, check_exact=True)


def test_each_date_is_a_separate_portfolio(rubric: Rubric, portfolio: pd.DataFrame) -> None:
    later = portfolio.iloc[:150].assign(as_of=WHEN + pd.Timedelta(days=7))
    together = rubric.score(pd.concat([portfolio, later], ignore_index=True))
    assert together.score[:300].tolist() == rubric.score(portfolio).score.tolist()
    assert together.score[300:].tolist() == rubric.score(later).score.tolist()


def test_single_accounts_are_compared_with_the_given_peers(rubric: Rubric, portfolio: pd.DataFrame, peers: Peers) -> None:
    in_portfolio = rubric.score(portfolio).score
    alone = [rubric.score(portfolio.iloc[[i]], peers).score.iloc[0] for i in range(60)]
    # The reference keeps 21 quantiles: a place is right to a few of 100, and it weighs 40 of 100.
    assert np.abs(in_portfolio[:60] - alone).max() < 3.0


SHIPPED = [load_rubric(name) for name in rubric_files()]
_each = pytest.mark.parametrize("shipped", SHIPPED, ids=lambda rubric: rubric.name)


def _drawn(data: st.DataObject, shipped: Rubric) -> pd.DataFrame:
    value = st.one_of(st.just(np.nan), st.floats(0, 100, width=32))
    features = [signal.feature for _, signal in shipped.signals]
    rows = data.draw(st.lists(st.lists(value, min_size=len(features), max_size=len(features)), min_size=1, max_size=6))
    return pd.DataFrame(rows, columns=features).assign(as_of=WHEN)


@_each
@settings(max_examples=60)
@given(data=st.data())
def test_better_signals_never_lower_a_score(shipped: Rubric, data: st.DataObject) -> None:
    frame = _drawn(data, shipped)
    _, signal = data.draw(st.sampled_from(shipped.signals))
    by = data.draw(st.floats(0, 50)) * (1 if signal.better == "higher" else -1)
    better = frame.copy()
    better.loc[0, signal.feature] = frame[signal.feature].iloc[0] + by
    before, after = shipped.score(frame).score[0], shipped.score(better).score[0]
    assert np.isnan(before) == np.isnan(after)
    assert np.isnan(before) or after >= before


@_each
@settings(max_examples=30)
@given(data=st.data())
def test_missing_dimensions_keep_the_relative_weights_of_the_others(shipped: Rubric, data: st.DataObject) -> None:
    whole = shipped.score(_drawn(data, shipped).fillna(1.0)).weights[0]
    names = np.array([dimension for dimension, _ in shipped.signals])
    removed = data.draw(st.sampled_from(sorted(set(names))))
    frame = _drawn(data, shipped).fillna(1.0)
    frame[[signal.feature for dimension, signal in shipped.signals if dimension == removed]] = np.nan
    left = shipped.score(frame).weights[0]
    np.testing.assert_allclose(left[names == removed], 0.0)
    stays = names != removed
    np.testing.assert_allclose(left[stays] / left[stays].sum(), whole[stays] / whole[stays].sum())
    assert left.sum() == pytest.approx(100)


@_each
def test_scores_do_not_depend_on_duplicates_and_order(shipped: Rubric) -> None:
    rng = np.random.default_rng(3)
    features = [signal.feature for _, signal in shipped.signals]
    frame = pd.DataFrame(rng.uniform(0, 10, (50, len(features))), columns=features).assign(as_of=WHEN)
    alone = shipped.score(frame).score
    turned = shipped.score(frame.sample(frac=1.0, random_state=1)).score.sort_index()
    twice = shipped.score(pd.concat([frame, frame], ignore_index=True)).score
    pd.testing.assert_series_equal(alone, turned, check_exact=True)
    assert twice[:50].tolist() == twice[50:].tolist() == alone.tolist()


@_each
def test_shipped_signals_agree_with_the_catalogue_on_direction(shipped: Rubric) -> None:
    for _, signal in shipped.signals:
        direction = CATALOGUE[signal.feature].direction
        assert direction in (None, "lowers_risk" if signal.better == "higher" else "raises_risk"), signal.feature


def test_learned_weights_replace_equal_ones() -> None:
    shipped = load_rubric("adoption-engagement-business-relationship")
    assert shipped.rules.weights == "learned"
    own = {"adoption": 70.0, "engagement": 30.0, "business": 0.0, "relationship": 0.0}
    learned = replace(shipped, learned=own)
    frame = pd.DataFrame([{signal.feature: 1.0 for _, signal in shipped.signals}]).assign(as_of=WHEN)
    names = np.array([dimension for dimension, _ in shipped.signals])
    for name, weight in own.items():
        assert learned.score(frame).weights[0][names == name].sum() == pytest.approx(weight)
        assert shipped.score(frame).weights[0][names == name].sum() == pytest.approx(25)


@settings(max_examples=60)
@given(st.lists(st.one_of(st.just(np.nan), st.floats(0, 100)), min_size=17, max_size=17))
def test_weights_sum_to_100_and_scores_are_in_range(points: list[float]) -> None:
    earned = np.array([points])
    health = HealthScores(FIVE, pd.RangeIndex(1), earned, earned, FIVE.weights()[None])
    has_data = not np.isnan(earned).all()
    assert health.weights.sum() == pytest.approx(100.0 if has_data else 0.0)
    if has_data:
        assert np.nanmin(earned) - 0.05 <= health.breakdown(0)["adds"].sum() <= np.nanmax(earned) + 0.05


def test_shipped_rubric_matches_its_specification() -> None:
    assert {d.name: d.weight for d in FIVE.rules.dimensions} == {
        "usage": 30,
        "engagement": 25,
        "support": 15,
        "outcomes": 20,
        "relationship": 10,
    }
    bands = FIVE.rules.bands
    assert (bands.green, bands.yellow, bands.red, FIVE.rules.minimum_coverage) == (70, 40, 0, 0.5)
    usage = FIVE.rules.dimensions[0].signals
    assert all(isinstance(s, PercentileSignal) and (s.green_above, s.yellow_from) == (80, 40) for s in usage)
    # The parts are written as points of 100, so that a person can add them up.
    for dimension in FIVE.rules.dimensions:
        assert sum(signal.weight for signal in dimension.signals) == dimension.weight


def test_unknown_rubrics_list_the_available_ones() -> None:
    with pytest.raises(RubricError, match="there is no rubric astrology\nExpected: one of adoption-engagement-business-relationship, five-dim"):
        load_rubric("astrology")


def test_what_lowers_a_score_is_what_it_lacks() -> None:
    frame = _portfolio(dict(_table(WHOLE)[["signal", "value"]].itertuples(index=False)))
    scores = FIVE.score(frame)
    parts = scores.breakdown(0)
    lost = (parts["weight"] - parts["adds"]).sort_values(ascending=False, kind="stable")
    lost = lost[lost > 0]
    named = scores.lowering(0, 99)
    assert [name for name, _ in named] == list(parts.loc[lost.index, "signal"])
    assert lost.sum() == pytest.approx(100 - scores.score.iloc[0], abs=0.05)
    assert dict(named) == dict(parts.loc[lost.index, ["signal", "value"]].itertuples(index=False))
    assert scores.lowering(0, 2, without=[named[0][0]]) == named[1:3]
