"""Past forecasts: storage, interval coverage, and the bias estimated from them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from features.errors import HomeError
from models.home import Home
from models.renewals.forecast_bias import bias_distribution
from models.renewals.past_forecasts import (
    FILE,
    PastCountForecast,
    PastFigure,
    PastForecasts,
    PastQuarter,
    bias_distributions,
)

AT = datetime(2026, 9, 30, tzinfo=UTC)


def quarter(happened: float) -> PastQuarter:
    figure = PastFigure(expected=100.0, low=90.0, high=110.0, happened=happened)
    miss = PastCountForecast(expected=20.0, happened=happened / 5, variance=18.0, drawn=16.0)
    return PastQuarter(
        period="2026Q1", as_of=datetime(2026, 1, 1, tzinfo=UTC), by="refit", accounts=9, arr=100.0,
        figures={"renewed_arr": figure}, leaving=miss, growing=miss,
    )  # fmt: skip


def past(*happened: float) -> PastForecasts:
    return PastForecasts(made_at=AT, data_through=AT, quarters=tuple(map(quarter, happened)), skipped={"2025Q4": "why"})


def test_stored_forecasts_are_loaded_unchanged(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert PastForecasts.load(home) is None
    result = past(100.0, 80.0)
    result.save(home)
    assert PastForecasts.load(home) == result


def test_coverage_includes_the_ends_of_an_interval() -> None:
    result = past(90.0, 110.0, 110.5, 89.0)
    assert result.coverage("renewed_arr") == (2, 4)
    assert result.coverage("nrr") == (0, 0)


def test_an_invalid_file_is_refused(tmp_path: Path) -> None:
    for text in ("{}", "[", '{"secret": 1}'):
        (tmp_path / FILE).write_text(text)
        with pytest.raises(HomeError, match="backtest") as caught:
            PastForecasts.load(Home(tmp_path))
        assert "secret" not in str(caught.value)


def test_past_quarters_determine_the_bias() -> None:
    assert bias_distributions([])[0].spread == bias_distribution([]).spread
    off, right = bias_distributions([quarter(200.0), quarter(20.0)])[0], bias_distributions([quarter(100.0)] * 4)[0]
    assert right.spread < bias_distribution([]).spread < off.spread
