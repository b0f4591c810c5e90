import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.peer_groups.peers import LEVELS, Peers, Spread
from models.peer_groups.percentiles import midrank


def _peers(values: list[float], arr: float | list[float] = 1.0) -> Peers:
    return Peers.of(pd.DataFrame({"x": values, "contract.arr": arr}), ["x", "absent"])


def test_equal_values_have_the_middle_of_their_percentiles() -> None:
    # 12 of 20 accounts have the value 0: its percentile is the middle of the lowest 60 percent.
    spread = _peers([0.0] * 12 + [float(v) for v in range(1, 9)]).spread("x", None)
    assert spread is not None
    assert spread.percentile(0.0) == pytest.approx(30.0, abs=3.0)
    assert spread.percentile(-1.0) == 0.0
    assert spread.percentile(99.0) == 100.0
    assert np.isnan(spread.percentile(np.nan))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(-1, 31), st.integers(-1, 31))
def test_percentiles_never_decrease_with_the_value(values: list[int], one: int, two: int) -> None:
    spread = _peers([float(v) for v in values]).spread("x", None)
    assert spread is not None
    low, high = sorted([float(one), float(two)])
    assert 0 <= spread.percentile(low) <= spread.percentile(high) <= 100


def test_percentiles_from_the_stored_reference_are_close_to_the_portfolios(portfolio: pd.DataFrame, peers: Peers) -> None:
    values = portfolio["usage.active_users_28d"].to_numpy()
    alone = peers.percentile("usage.active_users_28d", values, np.full(len(values), None, dtype=object))
    assert np.abs(alone - midrank(values)).max() < 3.0


def test_a_small_segment_is_replaced_by_the_whole_portfolio() -> None:
    # 20 self-serve accounts at 1, five enterprise accounts at 100.
    peers = _peers([1.0] * 20 + [100.0] * 5, [100.0] * 20 + [1e6] * 5)
    segments = np.array(["self-serve", "enterprise", None], dtype=object)
    assert peers.accounts["enterprise"] == 5
    np.testing.assert_allclose(peers.typical("x", segments, "mean"), [1.0, 20.8, 20.8])
    np.testing.assert_allclose(peers.typical("x", segments, "median"), [1.0, 1.0, 1.0])


def test_a_feature_without_values_is_unknown() -> None:
    peers = _peers([np.nan, np.nan])
    no_segment = np.full(1, None, dtype=object)
    assert peers.spread("x", None) is None
    assert np.isnan(peers.percentile("x", [3.0], no_segment)).all()
    assert np.isnan(peers.typical("absent", no_segment, "mean")).all()


def test_the_order_of_accounts_does_not_change_peers(portfolio: pd.DataFrame) -> None:
    names = ["usage.active_users_28d", "usage.trend_28d"]
    assert Peers.of(portfolio, names) == Peers.of(portfolio.sample(frac=1.0, random_state=3), names)


def test_peers_are_unchanged_after_a_json_round_trip(peers: Peers) -> None:
    assert Peers.from_json(json.loads(json.dumps(peers.to_json()))) == peers


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: stored.pop("levels"),
        lambda stored: stored["groups"].pop("all"),
        lambda stored: stored["levels"].__setitem__(3, 0.5),
        lambda stored: stored["groups"]["all"]["features"]["usage.trend_28d"]["quantiles"].pop(),
        lambda stored: stored["groups"]["all"]["features"]["usage.trend_28d"]["quantiles"].reverse(),
        lambda stored: stored["groups"]["all"]["features"]["usage.trend_28d"].pop("mean"),
        lambda stored: stored["groups"]["all"].__setitem__("features", [1]),
    ],
)
def test_a_broken_reference_is_refused(peers: Peers, change: object) -> None:
    stored = json.loads(json.dumps(peers.to_json()))
    change(stored)
    with pytest.raises(ValueError, match=r"levels|missing|quantiles|sequence|broadcast"):
        Peers.from_json(stored)


def test_the_median_is_the_middle_quantile() -> None:
    assert Spread(3, 2.0, tuple(LEVELS * 10)).median == pytest.approx(5.0)


@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")), st.just(float("inf"))), min_size=1, max_size=40))
def test_quantiles_equal_those_of_numpy_over_finite_values(values: list[float]) -> None:
    finite = np.sort([value for value in values if np.isfinite(value)])
    spread = _peers(values).spread("x", None)
    if not len(finite):
        assert spread is None
        return
    assert spread is not None
    assert (spread.known, spread.mean) == (len(finite), finite.mean())
    assert spread.quantiles == tuple(np.maximum.accumulate(np.quantile(finite, LEVELS)))
