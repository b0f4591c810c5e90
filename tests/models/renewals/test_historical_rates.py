"""Historical rates: a small portfolio calculated manually, without later information."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from models.renewals.historical_rates import ArrLine, HistoricalRates, historical_rates

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)


def contracts(*rows: tuple[str, str, str | None, float, str | None]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["account_id", "started_at", "ended_at", "arr", "renewal_at"])
    return frame.assign(**{c: pd.to_datetime(frame[c], utc=True) for c in ("started_at", "ended_at", "renewal_at")})


#        account  from          to            ARR     renews
CONTRACTS = contracts(
    ("grew",   "2025-01-01", "2026-01-01", 100.0, "2026-01-01"),
    ("grew",   "2026-01-01", None,         120.0, "2027-01-01"),
    ("shrank", "2025-02-01", "2026-02-01", 200.0, "2026-02-01"),
    ("shrank", "2026-02-01", None,         150.0, "2027-02-01"),
    ("price",  "2025-03-01", "2026-03-01", 100.0, "2026-03-01"),
    ("price",  "2026-03-01", None,         103.0, "2027-03-01"),
    ("left",   "2025-03-01", "2026-03-01", 100.0, "2026-03-01"),
    ("open",   "2025-04-01", None,         100.0, "2026-04-01"),
    ("early",  "2025-04-01", "2025-09-01", 100.0, "2026-04-01"),
    ("lately", "2025-06-15", "2026-06-15", 100.0, "2026-06-15"),
    ("lately", "2026-06-15", None,         900.0, "2027-06-15"),
)  # fmt: skip


def test_a_small_portfolio_equals_a_manual_calculation() -> None:
    whole = historical_rates(CONTRACTS, AS_OF, 30).whole
    # Accounts that left are excluded, also those that left before the renewal; the one in June is not settled yet.
    assert (whole.renewals, whole.grew, whole.shrank) == (4, 1, 1)
    assert whole.grown == (1.2,)
    assert whole.shrunk == (0.75,)
    assert whole.level == (1.0, 1.03)


def test_later_information_is_not_used() -> None:
    later = datetime(2026, 1, 20, tzinfo=UTC)
    assert historical_rates(CONTRACTS, later, 30) == HistoricalRates.none(), "no grace period has ended"
    until = CONTRACTS["started_at"] < later
    ended = CONTRACTS["ended_at"].where(CONTRACTS["ended_at"] < AS_OF.replace(month=2, day=5))
    assert historical_rates(CONTRACTS, AS_OF.replace(month=2, day=5), 30) == historical_rates(
        CONTRACTS[until].assign(ended_at=ended), AS_OF.replace(month=2, day=5), 30
    )


def test_a_segment_with_few_renewals_is_shrunk_toward_the_portfolio() -> None:
    rates = historical_rates(CONTRACTS, AS_OF, 30)
    a, b = rates.contraction("enterprise")
    assert a / (a + b) == pytest.approx(1.5 / 5), "a segment without renewals has the portfolio's rate"
    assert a + b == pytest.approx(4 + 1)
    (a, b), whole = rates.contraction("self-serve"), 1.5 / 5
    assert (a, b) == (pytest.approx(20 * whole + 1), pytest.approx(20 * (1 - whole) + 3)), "all accounts are self-serve"
    grown, shrunk, level = rates.sizes("self-serve")
    assert grown.tolist() == [1.2]
    assert shrunk.tolist() == [0.75]
    assert level.tolist() == [1.0, 1.03]


def test_without_past_renewals_everything_renews_unchanged() -> None:
    none = HistoricalRates.none()
    assert none.contraction("SMB") == (0.5, 0.5)
    assert all(sizes.tolist() == [1.0] for sizes in none.sizes(None))
    assert HistoricalRates.model_validate(none.model_dump(mode="json")) == none


def test_arr_counts_starts_after_and_ends_up_to_their_times() -> None:
    line = ArrLine(np.array([0, 0, 1]), np.array([10, 20, 5]), np.array([20, 2**34 - 1, 30]), np.array([1.0, 5.0, 7.0]))
    times = np.array([10, 11, 20, 21, 40])
    assert line.at(np.zeros(5, dtype=np.int64), times).tolist() == [0.0, 1.0, 1.0, 5.0, 5.0]
    assert line.at(np.ones(3, dtype=np.int64), np.array([5, 30, 31])).tolist() == [0.0, 7.0, 0.0]
