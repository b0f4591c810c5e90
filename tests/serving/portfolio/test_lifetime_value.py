"""Lifetimes from probabilities: the closed form, shorter with more risk, and limited."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from features.errors import BadRequest
from serving.portfolio.lifetime_value import lifetime_days, lifetimes


def test_a_constant_hazard_has_its_closed_form() -> None:
    p = np.array([0.0, 0.1, 0.5, 1.0, np.nan])
    days = lifetime_days({90: p}, 1_000.0)
    hazard = -np.log(1.0 - p[1:3]) / 90.0
    np.testing.assert_allclose(days[1:3], (1.0 - np.exp(-hazard * 1_000.0)) / hazard)
    assert days[0] == 1_000.0, "who never leaves stays to the limit"
    assert 0.0 < days[3] < 5.0
    assert np.isnan(days[4])
    np.testing.assert_allclose(lifetime_days({90: p[1:3]}, 1e9), 1.0 / hazard)


def test_consistent_horizons_change_nothing() -> None:
    one = np.array([0.19])
    same = {45: 1.0 - np.sqrt(1.0 - one), 90: one}
    np.testing.assert_allclose(lifetime_days(same, 2_000.0), lifetime_days({90: one}, 2_000.0))
    early = lifetime_days({45: np.array([0.19]), 90: one}, 2_000.0)
    late = lifetime_days({45: np.array([0.0]), 90: one}, 2_000.0)
    assert early < lifetime_days({90: one}, 2_000.0) < late
    # By a fine sum over days.
    grid = np.arange(0.0, 60.0, 0.001) + 0.0005
    survived = np.where(grid < 45, 1.0, 0.81 ** ((grid - 45) / 45))
    np.testing.assert_allclose(lifetime_days({45: np.array([0.0]), 90: one}, 60.0), survived.sum() * 0.001, rtol=1e-6)


def test_the_portfolios_lifetimes_add_up(client: TestClient) -> None:
    assessment: Any = client.app.state.live.current().latest.assessment  # type: ignore[attr-defined]
    payload, half = lifetimes(assessment), lifetimes(assessment, margin=0.5)
    assert payload["unknown"] == 1, "a38 is not scored"
    assert payload["whole"]["value"] == pytest.approx(sum(each["value"] for each in payload["accounts"]))
    assert sum(group["accounts"] for group in payload["by_segment"].values()) == payload["whole"]["accounts"] == 38
    assert half["whole"]["value"] == pytest.approx(payload["whole"]["value"] / 2)
    for each in payload["accounts"]:
        assert 0 < each["lifetime_years"] <= 5
        assert each["value_low"] <= each["value"] <= each["value_high"]
    p = dict(zip(assessment.account_ids, assessment.target_scores["churn"].probability, strict=True))
    by_risk = sorted(payload["accounts"], key=lambda each: p[each["account_id"]])
    years = [each["lifetime_years"] for each in by_risk]
    assert years == sorted(years, reverse=True), "more risk, less life"


@pytest.mark.parametrize(("margin", "years"), [(0.0, 5.0), (1.1, 5.0), (1.0, 0.0), (1.0, float("nan"))])
def test_invalid_margins_and_limits_are_refused(client: TestClient, margin: float, years: float) -> None:
    with pytest.raises(BadRequest, match="margin"):
        lifetimes(client.app.state.live.current().latest.assessment, margin, years)  # type: ignore[attr-defined]
