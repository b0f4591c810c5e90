"""Each preset has the rates, orders and shapes that are published for real portfolios (docs/reference/simulator.md)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from training.simulation.calendar import day_number
from training.simulation.history import simulate_history
from training.simulation.portfolio_figures import PortfolioFigures, portfolio_figures
from training.simulation.presets import PRESETS

SEEDS = (21, 22, 23)
CONTRACTS = [name for name in PRESETS if name != "orders"]
END = day_number(date(2026, 9, 30))


pytestmark = pytest.mark.slow


@cache
def _figures(preset: str) -> list[PortfolioFigures]:
    return [portfolio_figures(simulate_history(1_800, 157, seed, END, PRESETS[preset])) for seed in SEEDS]


def _mean(preset: str, name: str) -> np.ndarray:
    return np.mean([getattr(figures, name) for figures in _figures(preset)], axis=0)


def _percent(name: str, part: int | None = None) -> Callable[[str], float]:
    return lambda preset: 100 * float(_mean(preset, name) if part is None else _mean(preset, name)[part])


SEGMENTS = ("self-serve", "small", "mid-market", "enterprise")
#: Figures of the table in docs/reference/simulator.md, by name.
DOCUMENTED: dict[str, Callable[[str], float]] = {
    "annual churn, %": _percent("annual_churn"),
    **{f"annual churn, {name}, %": _percent("annual_churn_by_segment", k) for k, name in enumerate(SEGMENTS)},
    **{f"net retention, {name}, %": _percent("net_retention", k) for k, name in enumerate(SEGMENTS)},
    **{f"gross retention, {name}, %": _percent("gross_retention", k) for k, name in enumerate(SEGMENTS)},
    "monthly churn of monthly terms, %": _percent("monthly_churn_of_monthly_terms"),
    "involuntary share, monthly payments, %": _percent("involuntary_share"),
    "lost at the first renewal, %": _percent("lost_at_renewal", 0),
    "lost at the second renewal, %": _percent("lost_at_renewal", 1),
    "lost at later renewals, %": _percent("lost_at_renewal", 2),
    "monthly churn in months 1 to 3, %": _percent("monthly_churn_by_tenure", 0),
    "monthly churn in months 4 to 12, %": _percent("monthly_churn_by_tenure", 1),
    "monthly churn later, %": _percent("monthly_churn_by_tenure", 2),
    "churn in December and January, relative": lambda preset: float(_mean(preset, "year_end_ratio")),
}


@pytest.mark.parametrize(
    ("preset", "segment", "low", "high"),
    [
        ("mixed-b2b", 3, 0.03, 0.1),
        ("mixed-b2b", 2, 0.07, 0.13),
        ("mixed-b2b", 1, 0.15, 0.25),
        ("mixed-b2b", 0, 0.27, 0.5),
        ("enterprise-annual", 3, 0.045, 0.085),
        ("enterprise-annual", 2, 0.07, 0.12),
        ("smb-monthly", 1, 0.2, 0.4),
        ("smb-monthly", 0, 0.3, 0.6),
    ],
)
def test_the_annual_churn_of_a_segment_is_in_the_published_range(preset: str, segment: int, low: float, high: float) -> None:
    assert low < _mean(preset, "annual_churn_by_segment")[segment] < high


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_its_annual_churn_and_each_larger_segment_less(preset: str) -> None:
    assert _mean(preset, "annual_churn") == pytest.approx(PRESETS[preset].annual_churn, rel=0.12)
    by_segment = _mean(preset, "annual_churn_by_segment")
    assert (np.diff(by_segment[np.isfinite(by_segment)]) < 0).all()


@pytest.mark.parametrize("preset", CONTRACTS)
def test_net_retention_is_highest_for_enterprise(preset: str) -> None:
    net, gross = _mean(preset, "net_retention"), _mean(preset, "gross_retention")
    here = np.isfinite(net)
    assert (np.diff(net[here]) > 0).all()
    assert ((net > 0.7) & (net < 1.35))[here].all()
    assert (gross < np.minimum(net, 1.0))[here].all()


def test_accounts_that_pay_for_usage_expand_by_themselves() -> None:
    usage, seats = _mean("usage-based", "net_retention"), _mean("smb-monthly", "net_retention")
    assert usage[1] > seats[1] + 0.05
    assert 1.1 < usage[3] < 1.3


def test_the_hazard_falls_with_tenure() -> None:
    # Per renewal of yearly contracts, and per month of monthly ones; a calendar year has no renewal in the first year.
    for preset in ("mixed-b2b", "enterprise-annual"):
        first, _, later = _mean(preset, "lost_at_renewal")
        assert later < 0.9 * first
    for preset in ("mixed-b2b", "smb-monthly"):
        start, first_year, later = _mean(preset, "monthly_churn_by_tenure")
        assert start > 1.2 * first_year > 1.2 * 1.2 * later


@pytest.mark.parametrize("preset", ["mixed-b2b", "smb-monthly", "usage-based"])
def test_churn_and_renewals_have_a_season(preset: str) -> None:
    assert 1.15 < _mean(preset, "year_end_ratio") < 1.7
    assert _mean(preset, "quarter_end_share") > 0.38


@pytest.mark.parametrize("preset", ["mixed-b2b", "smb-monthly", "usage-based"])
def test_a_fifth_to_two_fifths_of_the_churn_of_monthly_payers_is_involuntary(preset: str) -> None:
    assert 0.2 < _mean(preset, "involuntary_share") < 0.4


def test_monthly_contracts_of_small_companies_lose_three_to_seven_percent_a_month() -> None:
    assert 0.03 < _mean("smb-monthly", "monthly_churn_of_monthly_terms") < 0.07


def _row(line: str) -> tuple[str, str, str, str]:
    preset, figure, published, simulated = (cell.strip() for cell in line.strip("|\n").split("|")[:4])
    return preset.strip("`"), figure, published, simulated


def _documented() -> list[tuple[str, str, str, str]]:
    page = Path(__file__).parents[3] / "docs/reference/simulator.md"
    table = page.read_text().split("## Next to published figures")[1].split("\n## ")[0]
    return [_row(line) for line in table.splitlines() if line.startswith("| `")]


@pytest.mark.parametrize(("preset", "figure", "published", "simulated"), _documented())
def test_the_documented_table_is_what_the_simulator_does(preset: str, figure: str, published: str, simulated: str) -> None:
    value = DOCUMENTED[figure](preset)
    mean, low, high = (float(number) for number in re.findall(r"[\d.]+", simulated))
    assert low <= mean <= high
    # Other seeds than those of the table: the mean of three lies in the range of the five, or close to it.
    margin = 0.1 * mean + 0.5 * (high - low)
    assert low - margin < value < high + margin, value
