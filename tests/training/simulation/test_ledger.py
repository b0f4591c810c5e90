import numpy as np

from training.simulation.history import History
from training.simulation.ledger import CANCELLED, NONPAYMENT, OPEN, RENEWED


def test_the_rows_of_any_day_add_up_to_the_arr_of_the_state(history: History) -> None:
    rows = history.subscriptions
    n = len(history.world)
    for week in (0, 20, 40, history.weeks - 1):
        day = history.start + 7 * (week + 1)
        runs = (rows.started < day) & ((rows.ended == OPEN) | (rows.ended >= day))
        arr = np.bincount(rows.account[runs], rows.arr[runs], minlength=n)
        state = history.after[week]
        np.testing.assert_allclose(arr, state.arr * state.running, atol=0.02)


def test_a_row_that_ends_by_renewal_goes_on_at_the_same_instant(history: History) -> None:
    rows = history.subscriptions
    starts = set(zip(rows.account, rows.product, rows.started, strict=True))
    renewed = rows.take(rows.reason == RENEWED)
    assert len(renewed) > 1000
    assert set(zip(renewed.account, renewed.product, renewed.ended, strict=True)) <= starts


def test_rows_of_a_product_never_overlap_and_never_run_backwards(history: History) -> None:
    rows = history.subscriptions
    order = np.lexsort((rows.started, rows.product, rows.account))
    rows = rows.take(order)
    ended = np.where(rows.ended == OPEN, 1 << 40, rows.ended)
    assert (ended > rows.started).all()
    same = (rows.account[1:] == rows.account[:-1]) & (rows.product[1:] == rows.product[:-1])
    assert (rows.started[1:][same] >= ended[:-1][same]).all()


def test_whoever_left_has_a_last_row_that_says_so(history: History) -> None:
    rows = history.subscriptions
    left = history.left_on < history.end
    for account in np.flatnonzero(left):
        mine = rows.account == account
        assert (rows.ended[mine] != OPEN).all()
        last = mine & (rows.ended == history.left_on[account])
        assert last.any()
        assert set(rows.reason[last].tolist()) <= {CANCELLED, NONPAYMENT}


def test_contracts_are_mostly_renewed_on_the_day_and_sometimes_late(history: History) -> None:
    rows = history.subscriptions.take(history.subscriptions.reason == RENEWED)
    late = rows.ended - rows.renewal
    assert 0.001 < (late > 0).mean() < 0.2
    # A term may be cut into rows by a product that was bought on the way, never signed before its end.
    assert late.min() >= 0
