"""Unit changes are reported with the week, the factor and the possible meaning."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.feed_health.unit_changes import Jump, unit_jumps, volume_falls
from features.utils.arrays import Floats, Ints

MONDAY = (date(2025, 6, 2) - date(1970, 1, 1)).days


def _jump(column: str | None, factor: float, **more: str) -> Jump:
    return Jump("usage", column, more.get("kind"), "month" if "month" in more else "week", date(2025, 6, 2), factor)


@pytest.mark.parametrize(
    ("jump", "words"),
    [
        (_jump("minutes", 1 / 60), "usage.minutes fell to a 60th in the week of 2025-06-02: seconds instead of minutes, or vice versa?"),
        (_jump("minutes", 58.3), "usage.minutes rose 58-fold in the week of 2025-06-02: seconds instead of minutes, or vice versa?"),
        (_jump("amount", 100), "usage.amount rose 100-fold in the week of 2025-06-02: cents instead of whole units, or vice versa?"),
        (_jump("arr", 1 / 10.6), "usage.arr fell to an 11th in the week of 2025-06-02: months instead of years, or vice versa?"),
        (_jump("quantity", 1000), "usage.quantity rose 1,000-fold in the week of 2025-06-02: single units instead of thousands, or vice versa?"),
        (_jump("quantity", 7.3), "usage.quantity rose 7.3-fold in the week of 2025-06-02: has the quantity or its unit changed?"),
        (_jump("value", 10, kind="nps", month="x"), "usage.value of kind nps rose 10-fold in 2025-06: a misplaced decimal point, or vice versa?"),
        (_jump(None, 1 / 60), "usage: the rows per week fell to a 60th in the week of 2025-06-02: is a part of the feed missing?"),
    ],
    ids=lambda value: "" if isinstance(value, str) else f"{value.column} x {value.factor:.3g}",
)  # fmt: skip
def test_words(jump: Jump, words: str) -> None:
    assert jump.words() == words


def test_a_jump_is_plain_json() -> None:
    facts = _jump("minutes", 59.98765).as_dict()
    assert facts["factor"] == 59.99
    assert facts["ratio"] == 60
    assert facts["start"] == "2025-06-02"
    assert _jump("minutes", 7).ratio is None


def _values(rng: np.random.Generator, days: int, each: int, sigma: float = 0.3) -> tuple[Ints, Floats, Floats]:
    """Return days from a Monday on with lognormal values: their counts and sums of logarithms."""
    return MONDAY + np.arange(days), np.full(days, float(each)), rng.normal(3, sigma, (days, each)).sum(axis=1)


def test_steady_noise_has_no_jump() -> None:
    noisy = [bool(unit_jumps("usage", "minutes", None, *_values(np.random.default_rng(s), 730, 3))) for s in range(100)]
    assert sum(noisy) == 0


def test_very_different_values_in_sparse_weeks_rarely_have_a_jump() -> None:
    noisy = [bool(unit_jumps("orders", "amount", None, *_values(np.random.default_rng(s), 730, 1, 2.0))) for s in range(100)]
    assert sum(noisy) <= 5


@settings(max_examples=50)
@given(st.integers(3, 49), st.sampled_from([60.0, 1 / 60, 100.0, 1000.0]), st.integers(0, 10_000))
def test_another_unit_from_some_week_on_is_always_found(week: int, factor: float, seed: int) -> None:
    days, counts, logs = _values(np.random.default_rng(seed), 52 * 7, 2)
    logs = logs + np.where(days >= MONDAY + 7 * week, counts * np.log(factor), 0)
    (jump,) = unit_jumps("usage", "minutes", None, days, counts, logs)
    assert (jump.start - date(2025, 6, 2)).days == 7 * week
    assert jump.factor == pytest.approx(factor, rel=0.5)
    assert jump.period == "week"


def test_a_sparse_feed_is_compared_by_months() -> None:
    days, counts, logs = _values(np.random.default_rng(0), 730, 1)
    monthly = days % 30 == 0
    logs = logs + np.where(days >= (date(2026, 3, 1) - date(1970, 1, 1)).days, np.log(100), 0)
    (jump,) = unit_jumps("billing", "amount", "invoice_paid", days[monthly], 3 * counts[monthly], 3 * logs[monthly])
    assert (jump.period, jump.start) == ("month", date(2026, 3, 1))


def test_a_fall_to_a_twentieth_is_reported_and_growth_is_not() -> None:
    days, rows = MONDAY + np.arange(200), np.full(200, 100.0)
    fallen = np.where(days < MONDAY + 70, rows, 5)
    (fall,) = volume_falls("usage", days, fallen)
    assert (fall.column, fall.start) == (None, date(2025, 8, 11))
    assert fall.factor == pytest.approx(0.05)
    assert volume_falls("usage", days, fallen[::-1].copy()) == ()
    assert volume_falls("usage", days, np.where(days < MONDAY + 70, rows, 20)) == ()


def test_an_empty_feed_has_no_jump() -> None:
    none, empty = np.array([], dtype=np.int64), np.array([])
    assert unit_jumps("usage", "minutes", None, none, empty, empty) == ()
    assert volume_falls("usage", none, empty) == ()
