"""What counts as churn, expansion and contraction, as tables that a person can check by eye.

In the tables of contracts, days are counted from 2024-01-01. The snapshot is taken on day 100, so the window is
[100, 190) and the grace 30 days. Each line is one account: its subscriptions as ``start..end ARR [seats] [plan]
[reason]``, parted by ``+``; then the labels that it must get (left is voluntary churn, unpaid involuntary), the ARR at
day 100, and why.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from features.errors import BadRequest
from features.signals.signals import OpenSignals
from training.dataset.labels import label

DAY_0 = datetime(2024, 1, 1)
NEVER_CENSORED = DAY_0 + timedelta(days=1_000)

CONTRACTS = """
subscriptions                               | churn  | grows      | shrinks | arr | because
0..    100                                  | no     | no         | no      | 100 | it runs on
0..150 100                                  | left   | no         | no      | 100 | it ends in the window
0..150 100 cancelled                        | left   | no         | no      | 100 | cancelled
0..150 100 nonpayment                       | unpaid | no         | no      | 100 | it did not pay
0..190 100                                  | no     | no         | no      | 100 | an end at as_of + H is outside
0..189 100                                  | left   | no         | no      | 100 | a day before it is inside
0..100 100                                  | left   | no         | no      | 100 | an end at as_of is not known yet
0..99  100                                  | -      | -          | -       | -   | it ended before as_of: not active
100..  100                                  | -      | -          | -       | -   | a start at as_of is not known yet
0..100 100 + 100.. 100                      | no     | no         | no      | 100 | renewed at as_of, counted once
0..100 100 + 100.. 200                      | no     | yes        | no      | 100 | renewed higher there, counted once
0..150 100 + 150.. 100                      | no     | no         | no      | 100 | renewed without a gap
0..150 100 + 160.. 100                      | no     | no         | no      | 100 | a gap within the grace is no loss
0..150 100 + 180.. 100                      | no     | no         | no      | 100 | a gap of exactly the grace
0..150 100 + 181.. 100                      | left   | no         | no      | 100 | a gap longer than the grace
0..189 100 + 219.. 100                      | no     | no         | no      | 100 | the grace reaches beyond the window
0..189 100 + 220.. 100                      | left   | no         | no      | 100 | but no further
0..120 100 + 130..140 100 + 150.. 100       | no     | no         | no      | 100 | two short gaps
0..120 100 + 130..140 100 + 180.. 100       | left   | no         | no      | 100 | a short gap, then a long one
0..150 100 + 0.. 100                        | no     | no         | yes     | 200 | one of two ends
0..150 100 + 0..160 50 nonpayment           | unpaid | no         | no      | 150 | both end, the last one unpaid
0..150 100 nonpayment + 0..160 50           | left   | no         | no      | 150 | both end, only the first unpaid
0..150 100 nonpayment + 0..150 50 cancelled | unpaid | no         | no      | 150 | both end together, one unpaid
0..150 100 + 120..500 100                   | no     | cross_sell | no      | 100 | a second one overlaps the first
0..120 100 10 + 120.. 105 11                | no     | seats      | no      | 100 | exactly 5% more
0..120 3 10 + 120.. 3.15 11                 | no     | seats      | no      | 3   | exactly 5% more, however rounded
0..120 100 10 + 120.. 104.9 11              | no     | no         | no      | 100 | less than 5% more
0..120 100 10 + 120..130 200 20 + 130.. 100 | no     | seats      | no      | 100 | up and back again
0..120 100 10 + 120..130 50 5 + 130.. 100   | no     | no         | yes     | 100 | down and back again
0..120 100 10 a + 120.. 200 10 b            | no     | tier       | no      | 100 | another plan
0..120 100 10 a + 120.. 200 20 b            | no     | tier       | no      | 100 | another plan, and seats with it
0..120 100 10 a + 120.. 200 20 a            | no     | seats      | no      | 100 | seats at the same plan
0..120 100 10 a + 120.. 200 10 a            | no     | yes        | no      | 100 | a mere rise in price is of no kind
0..120 100 a + 120.. 200 a                  | no     | yes        | no      | 100 | seats are not recorded
0.. 100 10 a + 120.. 50 5 b                 | no     | cross_sell | no      | 100 | a further subscription
0.. 100 10 a + 120.. 50 5 a                 | no     | cross_sell | no      | 100 | a further one of the same plan
0..189 100 10 + 189.. 200 20                | no     | seats      | no      | 100 | growth on the last day
0..190 100 10 + 190.. 200 20                | no     | no         | no      | 100 | growth at as_of + H is outside
0..120 100 10 + 120..150 200 20             | left   | seats      | no      | 100 | grown first, lost after
0..120 100 + 120..150 50                    | left   | no         | no      | 100 | shrunk, but then lost
0..120 100 + 120.. 95                       | no     | no         | yes     | 100 | exactly 5% less
0..120 100 + 120.. 95.1                     | no     | no         | no      | 100 | less than 5% less
0..150 100 + 160.. 50                       | no     | no         | yes     | 100 | renewed late and lower
0.. 0                                       | no     | no         | no      | 0   | nothing is no growth over nothing
0.. 0 10 a + 120.. 50 10 b                  | no     | cross_sell | no      | 0   | a free account begins to pay
0..50 100 + 95.. 100                        | no     | no         | no      | 100 | an old loss, won back
0..99 100 + 101.. 100                       | -      | -          | -       | -   | in a gap at as_of
0.. 100 + 120..120 500                      | no     | no         | no      | 100 | a line that never ran
"""


def _cases(text: str) -> list[dict[str, str]]:
    head, *lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    return [dict(zip(head, line, strict=True)) for line in lines]


def _subscription(account: str, text: str) -> dict[str, object]:
    span, arr, *rest = text.split()
    start, end = span.split("..")
    row: dict[str, object] = {"account_id": account, "started_at": _day(start), "arr": float(arr)}
    for word in rest:
        name = "seats" if word.isdigit() else "plan" if len(word) == 1 else "end_reason"
        row[name] = int(word) if name == "seats" else word
    return row | ({"ended_at": _day(end)} if end else {})


def _day(number: str) -> datetime:
    return DAY_0 + timedelta(days=int(number))


def _shown(value: float, kind: object) -> str:
    short = {None: "yes", "voluntary": "left", "involuntary": "unpaid"}
    return "-" if np.isnan(value) else short.get(kind, str(kind)) if value else "no"


def _keys(accounts: list[str], *as_ofs: datetime) -> pd.DataFrame:
    pairs = [(a, t) for t in as_ofs for a in accounts]
    return pd.DataFrame(pairs, columns=["account_id", "as_of"]).assign(
        as_of=lambda f: pd.to_datetime(f["as_of"]).dt.tz_localize("UTC")
    )


@pytest.mark.parametrize("case", _cases(CONTRACTS), ids=lambda case: case["because"])
def test_contracts(case: dict[str, str], make_signals: Callable[..., OpenSignals]) -> None:
    rows = [_subscription("x", text) for text in case["subscriptions"].split(" + ")]
    other = [_subscription("w", "0..170 7"), _subscription("y", "5..105 9")]
    signals = make_signals(NEVER_CENSORED, subscriptions=[other[0], *rows, other[1]])
    labels = label(signals, _keys(["x"], _day("100"))).iloc[0]
    assert _shown(labels["churn"], labels["churn_kind"]) == case["churn"]
    assert _shown(labels["expansion"], labels["expansion_kind"]) == case["grows"]
    assert _shown(labels["contraction"], None) == case["shrinks"]
    assert ("-" if np.isnan(labels["arr"]) else f"{labels['arr']:g}") == case["arr"]


def test_accounts_are_independent(make_signals: Callable[..., OpenSignals]) -> None:
    """All the lines of the table in one portfolio, at once and in any order, give the same labels as each alone."""
    cases = _cases(CONTRACTS)
    rows = [_subscription(f"{i}", t) for i, case in enumerate(cases) for t in case["subscriptions"].split(" + ")]
    names = [f"{i}" for i in range(len(cases))]
    labels = label(make_signals(NEVER_CENSORED, subscriptions=rows), _keys(names, _day("100")))
    assert [_shown(c, k) for c, k in zip(labels["churn"], labels["churn_kind"], strict=True)] == [
        c["churn"] for c in cases
    ]
    assert [_shown(e, k) for e, k in zip(labels["expansion"], labels["expansion_kind"], strict=True)] == [
        c["grows"] for c in cases
    ]
    shuffled = [rows[i] for i in np.random.default_rng(1).permutation(len(rows))]
    again = label(make_signals(NEVER_CENSORED, subscriptions=shuffled), _keys(names[::-1], _day("100")))
    pd.testing.assert_frame_equal(labels, again.iloc[::-1].reset_index(drop=True))


def _day_by_day(
    lines: list[tuple[int, int, float]], as_of: int, horizon: int, grace: int
) -> tuple[int, int, int] | None:
    """Churn, expansion and contraction of one account, read off one day after the other; None if it is not active."""
    base = sum(arr for start, end, arr in lines if start < as_of <= end)
    if not any(start < as_of <= end for start, end, _ in lines):
        return None
    runs = {day: [arr for start, end, arr in lines if start <= day < end] for day in range(as_of, as_of + horizon)}
    starts = {start for start, end, _ in lines if end > start}
    churned = False
    was_running = True
    for day, running in runs.items():
        churned |= was_running and not running and not any(day <= start <= day + grace for start in starts)
        was_running = bool(running)
        if churned:
            break
    values = [sum(running) for running in runs.values() if running]
    grown = any(arr >= 1.05 * base - 1e-6 and arr > base for arr in values)
    shrunk = not churned and any(arr <= 0.95 * base + 1e-6 and arr < base for arr in values)
    return int(churned), int(grown), int(shrunk)


def test_labels_match_a_day_by_day_reference(make_signals: Callable[..., OpenSignals]) -> None:
    """On random portfolios, the vectorized labels match a slow and simple reference."""
    rng = np.random.default_rng(7)
    accounts = {
        f"{i}": [
            (
                start := int(rng.integers(0, 60)),
                start + int(rng.integers(0, 50)),
                float(rng.choice([0, 20, 95, 100, 105])),
            )
            for _ in range(rng.integers(1, 6))
        ]
        for i in range(300)
    }
    rows = [
        {"account_id": a, "started_at": _day(f"{s}"), "ended_at": _day(f"{e}"), "arr": arr}
        for a, lines in accounts.items()
        for s, e, arr in lines
    ]
    as_ofs = (5, 20, 33, 40)
    labelled = label(
        make_signals(NEVER_CENSORED, subscriptions=rows), _keys(list(accounts), *[_day(f"{t}") for t in as_ofs]), 30, 7
    )
    expected = [_day_by_day(lines, t, 30, 7) for t in as_ofs for lines in accounts.values()]
    labels = labelled[["churn", "expansion", "contraction"]]
    assert [None if row.isna().all() else tuple(row.astype(int)) for _, row in labels.iterrows()] == expected
    assert labels.mean().between(0.05, 0.95).all()


CALENDAR = """
ended_at            | as_of      | horizon | churn | because
2024-02-29          | 2023-12-01 | 90      | no    | ninety days from 1 December end on 29 February of a leap year
2024-02-28          | 2023-12-01 | 90      | yes   | the day before
2023-03-01          | 2022-12-01 | 90      | no    | and on 1 March of any other year
2023-02-28T23:59:59 | 2022-12-01 | 90      | yes   | a second before it
2024-02-29          | 2024-01-31 | 30      | yes   | from the end of January
2024-03-01          | 2024-01-31 | 30      | no    | thirty days on, over a leap day
2023-12-31T23:59:59 | 2023-12-31 | 1       | yes   | the last second of the year
2024-01-01          | 2023-12-31 | 1       | no    | midnight belongs to the next day
"""


@pytest.mark.parametrize("case", _cases(CALENDAR), ids=lambda case: case["because"])
def test_month_ends_and_leap_days(case: dict[str, str], make_signals: Callable[..., OpenSignals]) -> None:
    ended = datetime.fromisoformat(case["ended_at"])
    rows = [{"account_id": "x", "started_at": datetime(2020, 2, 29), "ended_at": ended, "arr": 1.0}]
    keys = _keys(["x"], datetime.fromisoformat(case["as_of"]))
    labels = label(make_signals(NEVER_CENSORED, subscriptions=rows), keys, horizon_days=int(case["horizon"])).iloc[0]
    assert _shown(labels["churn"], None) == case["churn"]


ORDERS = """
orders                    | churn | grows | shrinks | arr  | because
50:100 + 150:100          | no    | no    | no      | 100  | it ordered before and after
50:100                    | left  | no    | no      | 100  | nothing after
50:100 + 190:100          | left  | no    | no      | 100  | an order at as_of + H is outside
50:100 + 189:100          | no    | no    | no      | 100  | a day before it is inside
50:100 + 100:100          | no    | no    | no      | 100  | an order at as_of is not known yet, and inside
9:100 + 150:100           | -     | -     | -       | -    | nothing in [as_of - H, as_of): not active
10:100 + 150:100          | no    | no    | no      | 100  | active from as_of - H on
50:100 + 150:-20          | left  | no    | no      | 100  | a return is no order
50:100 + 60:-100 + 150:1  | no    | yes   | no      | 0    | all returned, then a purchase
50:100 + 150:125          | no    | yes   | no      | 100  | exactly a quarter more
50:100 + 150:124          | no    | no    | no      | 100  | less than a quarter more
50:100 + 150:130 + 160:-9 | no    | no    | no      | 100  | returns count against it
50:100 + 150:70 + 160:60  | no    | yes   | no      | 100  | two orders add up
-200:900 + 50:100 + 150:1 | no    | no    | yes     | 1000 | a year's large order falls out of the ARR
-265:900 + 50:100 + 150:1 | no    | no    | yes     | 1000 | a year ago to the day: still ARR at as_of, then gone
-266:900 + 50:100 + 150:1 | no    | no    | no      | 100  | a year and a day ago is no longer ARR
"""


@pytest.mark.parametrize("case", _cases(ORDERS), ids=lambda case: case["because"])
def test_orders(case: dict[str, str], make_signals: Callable[..., OpenSignals]) -> None:
    rows: list[dict[str, object]] = [
        {"account_id": "x", "occurred_at": _day(day), "amount": float(amount)}
        for day, amount in (order.split(":") for order in case["orders"].split(" + "))
    ]
    other: dict[str, object] = {"account_id": "w", "occurred_at": _day("120"), "amount": 5.0}
    labels = label(make_signals(_day("190"), orders=[other, *rows]), _keys(["x"], _day("100"))).iloc[0]
    assert _shown(labels["churn"], labels["churn_kind"]) == case["churn"]
    assert _shown(labels["expansion"], labels["expansion_kind"]) == case["grows"]
    assert _shown(labels["contraction"], None) == case["shrinks"]
    assert ("-" if np.isnan(labels["arr"]) else f"{labels['arr']:g}") == case["arr"]


CENSORED = """
data_through | churn | grows | shrinks | because
220          | no    | yes   | no      | H and G are over
219          | -     | yes   | no      | the grace is not
190          | -     | yes   | no      | H is over
189          | -     | -     | -       | not even H
"""


@pytest.mark.parametrize("case", _cases(CENSORED), ids=lambda case: case["because"])
def test_censoring(case: dict[str, str], make_signals: Callable[..., OpenSignals]) -> None:
    """An account that grows on day 120 and runs on."""
    rows = [_subscription("x", "0..120 100 10"), _subscription("x", "120.. 200 20")]
    labels = label(make_signals(_day(case["data_through"]), subscriptions=rows), _keys(["x"], _day("100"))).iloc[0]
    assert _shown(labels["churn"], None) == case["churn"]
    assert _shown(labels["expansion"], None) == case["grows"]
    assert _shown(labels["contraction"], None) == case["shrinks"]


def test_early_churn_is_censored_like_staying(make_signals: Callable[..., OpenSignals]) -> None:
    """Otherwise the last weeks would contain churned accounts only."""
    rows = [_subscription("gone", "0..110 1"), _subscription("stays", "0.. 1")]
    labels = label(make_signals(_day("200"), subscriptions=rows), _keys(["gone", "stays"], _day("100")))
    assert labels["churn"].isna().all()
    assert labels["churn_kind"].tolist() == [None, None]


def test_contraction_is_unknown_until_churn_is_decided(make_signals: Callable[..., OpenSignals]) -> None:
    """Shrunk on day 120, ended on day 180: on day 200 it may still renew; on day 211 it has churned."""
    rows = [_subscription("x", "0..120 100"), _subscription("x", "120..180 50")]
    early = label(make_signals(_day("200"), subscriptions=rows), _keys(["x"], _day("100")))
    late = label(make_signals(_day("211"), subscriptions=rows), _keys(["x"], _day("100")))
    assert np.isnan(early["contraction"].iloc[0])
    assert late["contraction"].iloc[0] == 0


def test_events_after_the_window_do_not_change_labels(make_signals: Callable[..., OpenSignals]) -> None:
    """Events after as_of + H + G do not matter."""
    rows = [_subscription("x", "0..150 100 10"), _subscription("x", "160..300 120 12")]
    later = [*rows[:1], _subscription("x", "160..230 120 12"), _subscription("x", "240.. 900 90")]
    keys = _keys(["x"], _day("100"))
    pd.testing.assert_frame_equal(
        label(make_signals(NEVER_CENSORED, subscriptions=rows), keys),
        label(make_signals(NEVER_CENSORED, subscriptions=later), keys),
    )


def test_longer_horizons_include_all_outcomes(make_signals: Callable[..., OpenSignals]) -> None:
    cases = _cases(CONTRACTS)
    rows = [_subscription(f"{i}", t) for i, case in enumerate(cases) for t in case["subscriptions"].split(" + ")]
    signals = make_signals(NEVER_CENSORED, subscriptions=rows)
    keys = _keys([f"{i}" for i in range(len(cases))], _day("80"), _day("100"))
    values = [label(signals, keys, horizon_days=h)[["churn", "expansion"]].fillna(0) for h in (1, 30, 90, 400)]
    assert all((short <= long).all(axis=None) for short, long in pairwise(values))
    assert (values[0] < values[-1]).any().all()


def test_no_keys_and_no_rows(make_signals: Callable[..., OpenSignals]) -> None:
    signals = make_signals(NEVER_CENSORED, subscriptions=[])
    assert label(signals, _keys(["x"], _day("100")))["churn"].isna().all()
    assert label(signals, _keys([], _day("100"))).empty


def test_bad_arguments(make_signals: Callable[..., OpenSignals]) -> None:
    signals = make_signals(NEVER_CENSORED, subscriptions=[])
    with pytest.raises(BadRequest, match="the snapshots have no column as_of"):
        label(signals, pd.DataFrame({"account_id": ["x"]}))
    with pytest.raises(BadRequest, match="a horizon of 0"):
        label(signals, _keys(["x"], DAY_0), horizon_days=0)


@pytest.mark.slow
def test_a_large_portfolio_is_labelled_in_seconds(make_signals: Callable[..., OpenSignals]) -> None:
    """1,500 accounts with 30 monthly lines each, at 156 weeks: linear work, not one pass per key."""
    month = timedelta(days=30)
    rows = [
        {
            "account_id": f"{i}",
            "started_at": DAY_0 + j * month,
            "ended_at": DAY_0 + (j + 1) * month,
            "arr": 100.0 + (i * j) % 17,
            "seats": j,
            "plan": "a",
        }
        for i in range(1_500)
        for j in range(30)
    ]
    signals = make_signals(NEVER_CENSORED, subscriptions=rows)
    keys = _keys([f"{i}" for i in range(1_500)], *[DAY_0 + timedelta(days=7 * w) for w in range(156)])
    begin = time.perf_counter()
    labels = label(signals, keys)
    assert len(labels) == 234_000
    assert time.perf_counter() - begin < 10
