import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.predictions.risk_bands import risk_band, risk_score, whole_points

chance = st.floats(1e-6, 1 - 1e-6)


@given(chance)
def test_the_average_account_is_at_50(base_rate: float) -> None:
    assert risk_score([base_rate], base_rate)[0] == pytest.approx(50.0, abs=1e-9)


@given(chance, chance, chance)
def test_a_higher_probability_never_has_a_lower_score(one: float, two: float, base_rate: float) -> None:
    low, high = risk_score(sorted([one, two]), base_rate)
    assert 0 <= low <= high <= 100


def test_three_times_the_odds_of_the_average_is_75() -> None:
    # base rate 0.2 has odds 1:4; 3:4 is a probability of 3/7.
    assert risk_score([3 / 7], 0.2)[0] == pytest.approx(75.0)


def test_certainty_is_100_and_impossibility_0() -> None:
    assert risk_score([1.0, 0.0], 0.05).tolist() == [100.0, 0.0]


def test_no_probability_has_no_score_and_no_band() -> None:
    points = whole_points(risk_score([np.nan], 0.1))
    assert np.isnan(points[0])
    assert risk_band(points)[0] is None


@pytest.mark.parametrize("base_rate", [0.0, 1.0, -0.1, float("nan")])
def test_a_base_rate_of_zero_or_one_is_rejected(base_rate: float) -> None:
    with pytest.raises(ValueError, match="base rate"):
        risk_score([0.5], base_rate)


@pytest.mark.parametrize(
    ("score", "band"), [(49.4, "low"), (49.5, "medium"), (50.0, "medium"), (70.4, "medium"), (70.5, "high")]
)
def test_the_band_agrees_with_the_whole_points_shown(score: float, band: str) -> None:
    assert risk_band(whole_points([score]))[0] == band
