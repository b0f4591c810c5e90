import numpy as np

from training.simulation.contract_events import GRACE_WEEKS, ContractEvent
from training.simulation.history import SimulatedHistory
from training.simulation.subscription_periods import CANCELLED, NONPAYMENT, OPEN, REASONS, RENEWED


def test_the_rows_of_any_day_add_up_to_the_arr_of_the_state(history: SimulatedHistory) -> None:
    rows = history.subscriptions
    n = len(history.traits)
    for week in (0, 20, 40, history.weeks - 1):
        day = history.start + 7 * (week + 1)
        runs = (rows.started < day) & ((rows.ended == OPEN) | (rows.ended >= day))
        arr = np.bincount(rows.account[runs], rows.arr[runs], minlength=n)
        state = history.after[week]
        np.testing.assert_allclose(arr, state.arr * state.running, atol=0.02)


def test_a_renewed_row_continues_at_the_same_instant(history: SimulatedHistory) -> None:
    rows = history.subscriptions
    starts = set(zip(rows.account, rows.product, rows.started, strict=True))
    renewed = rows.take(rows.reason == RENEWED)
    assert len(renewed) > 1000
    assert set(zip(renewed.account, renewed.product, renewed.ended, strict=True)) <= starts


def test_rows_of_a_product_do_not_overlap_and_end_after_their_start(history: SimulatedHistory) -> None:
    rows = history.subscriptions
    order = np.lexsort((rows.started, rows.product, rows.account))
    rows = rows.take(order)
    ended = np.where(rows.ended == OPEN, 1 << 40, rows.ended)
    assert (ended > rows.started).all()
    same = (rows.account[1:] == rows.account[:-1]) & (rows.product[1:] == rows.product[:-1])
    assert (rows.started[1:][same] >= ended[:-1][same]).all()


def test_the_last_row_of_a_churned_account_has_the_reason(history: SimulatedHistory) -> None:
    rows = history.subscriptions
    left = history.left_on < history.end
    for account in np.flatnonzero(left):
        mine = rows.account == account
        assert (rows.ended[mine] != OPEN).all()
        last = mine & (rows.ended == history.left_on[account])
        assert last.any()
        assert set(rows.reason[last].tolist()) <= {CANCELLED, NONPAYMENT}


def test_most_contracts_renew_on_time_and_some_late(history: SimulatedHistory) -> None:
    rows = history.subscriptions.take(history.subscriptions.reason == RENEWED)
    late = rows.ended - rows.renewal
    assert 0.001 < (late > 0).mean() < 0.2
    # A purchase may split a term into rows, but no term is signed before the previous one ends.
    assert late.min() >= 0


def test_contracts_end_for_every_reason_at_and_between_renewals(history: SimulatedHistory) -> None:
    rows = history.subscriptions
    assert set(rows.reason.tolist()) == {OPEN, *range(len(REASONS))}
    lost = (rows.reason == CANCELLED) & (rows.product == 0)
    early = rows.ended < rows.renewal
    assert (lost & early).any()
    assert (lost & ~early).sum() > 3 * (lost & early).sum()


def test_a_lapsed_contract_resumes_within_the_grace_period(history: SimulatedHistory) -> None:
    rows = history.subscriptions.take(history.subscriptions.product == 0)
    same = rows.account[1:] == rows.account[:-1]
    gap = (rows.started[1:] - rows.ended[:-1])[same]
    assert (gap > 0).any()
    assert gap.max() < 30


def test_involuntary_churn_follows_failed_payments(history: SimulatedHistory) -> None:
    lost = np.stack(history.kinds) == ContractEvent.NONPAYMENT
    failing = history.grid(lambda state: state.failing)
    assert lost.sum() > 10
    assert failing[lost].min() >= GRACE_WEEKS
