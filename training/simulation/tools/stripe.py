"""Subscriptions and payments as Stripe holds them.

Amounts are cents and instants are seconds since 1970. A subscription has one row with its current period, which every
renewal overwrites. Earlier periods are lines of invoices. A change within a period adds two lines of a proration, the
unused part of the old price and the rest of the new one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from training.simulation.tools.identifiers import AccountIds, epoch_seconds, token

DAYS_PER_MONTH = 30.4375
ADD_ON = "add-on"
#: A charge is retried, and an invoice is paid, this long after it was made.
PAID_AFTER = pd.Timedelta(hours=1)
#: Columns that are instants.
INSTANTS = {
    *("created", "canceled_at", "ended_at", "start_date", "period_start", "period_end"),
    *("current_period_start", "current_period_end", "status_transitions_paid_at"),
}
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Term:
    """One period of a subscription at one price."""

    account_id: str
    customer: str
    subscription: str
    price: str
    plan: str
    seats: int
    months: int
    cents: int
    started_at: pd.Timestamp
    renewal_at: pd.Timestamp
    ended_at: pd.Timestamp | None
    end_reason: str | None
    first: bool
    mid_term: bool


def stripe_tables(
    subscriptions: pd.DataFrame, billing: pd.DataFrame, accounts: pd.DataFrame, ids: Mapping[str, AccountIds]
) -> dict[str, pd.DataFrame]:
    """Return Stripe's tables by name.

    Parameters
    ----------
    subscriptions, billing, accounts : the tables of the data contract.
    ids : the ids of each account.
    """
    terms = subscription_terms(subscriptions, ids)
    lines, invoices = _invoices(terms)
    frames: dict[str, Rows] = {
        "customer": _customers(accounts, ids),
        "product": [{"id": token("prod_", plan), "name": plan} for plan in sorted({term.plan for term in terms})],
        "price": _prices(terms),
        "subscription": _subscriptions(terms),
        "subscription_item": _items(terms),
        "invoice": invoices,
        "invoice_line_item": lines,
        "charge": _failed_charges(billing, ids),
    }
    return {name: _in_seconds(pd.DataFrame(rows)) for name, rows in frames.items()}


def subscription_terms(subscriptions: pd.DataFrame, ids: Mapping[str, AccountIds]) -> list[Term]:
    """Return every period of unchanged terms, with the subscription and price that it has in Stripe.

    A row that starts at the end of the row before continues its subscription. A row that keeps the renewal date of the
    row before is a change within the term.
    """
    terms: list[Term] = []
    rows = subscriptions.assign(add_on=subscriptions["plan"].str.endswith(ADD_ON))
    rows["line"] = rows["plan"].where(rows["add_on"], "")
    for (account, line), group in rows.sort_values("started_at", kind="stable").groupby(["account_id", "line"]):
        own = ids[str(account)]
        customer = own.second_stripe if line and own.second_stripe else own.stripe
        subscription, before = "", None
        for row in _rows(group):
            continued = before is not None and row.started_at == before.ended_at
            if not continued:
                subscription = token("sub_", f"{account}{line}{row.started_at}")
            mid_term = continued and before is not None and before.renewal_at > row.started_at
            if mid_term and terms[-1].subscription == subscription:
                months = terms[-1].months
            else:
                months = max(round((row.renewal_at - row.started_at).days / DAYS_PER_MONTH), 1)
            seats = int(row.seats) if pd.notna(row.seats) and row.seats > 0 else 1
            terms.append(
                Term(
                    account_id=str(account),
                    customer=customer,
                    subscription=subscription,
                    price=token("price_", f"{account}{line}{row.started_at}"),
                    plan=row.plan,
                    seats=seats,
                    months=months,
                    cents=round(row.arr * months / 12 * 100),
                    started_at=row.started_at,
                    renewal_at=row.renewal_at,
                    ended_at=None if pd.isna(row.ended_at) else row.ended_at,
                    end_reason=None if pd.isna(row.end_reason) else str(row.end_reason),
                    first=not continued,
                    mid_term=mid_term,
                )
            )
            before = row
    return terms


def _customers(accounts: pd.DataFrame, ids: Mapping[str, AccountIds]) -> Rows:
    rows: Rows = []
    for account in _rows(accounts):
        own = ids[account.account_id]
        customer = {
            "created": account.created_at,
            "name": account.name,
            "currency": "usd",
            "is_deleted": False,
            "metadata__salesforce_account_id": own.salesforce,
        }
        rows.append({"id": own.stripe, **customer})
        if own.second_stripe:
            rows.append({"id": own.second_stripe, **customer, "name": f"{account.name} (add-ons)"})
    return rows


def _prices(terms: list[Term]) -> Rows:
    return [
        {
            "id": term.price,
            "product_id": token("prod_", term.plan),
            "currency": "usd",
            "type": "recurring",
            "billing_scheme": "per_unit",
            # Stripe's decimal prices have at most twelve decimal places.
            "unit_amount_decimal": f"{term.cents / term.seats:.12f}",
            "recurring_interval": "year" if term.months % 12 == 0 else "month",
            "recurring_interval_count": term.months // 12 if term.months % 12 == 0 else term.months,
            "nickname": term.plan,
        }
        for term in terms
    ]


def _newest(terms: list[Term]) -> list[Term]:
    """Return the newest period of each subscription: the one that its row describes."""
    return list({term.subscription: term for term in terms}.values())


def _subscriptions(terms: list[Term]) -> Rows:
    starts = {term.subscription: term.started_at for term in terms if term.first}
    period_starts = {term.subscription: term.started_at for term in terms if not term.mid_term}
    return [
        {
            "id": term.subscription,
            "customer_id": term.customer,
            "status": "active" if term.ended_at is None else "canceled",
            "created": starts[term.subscription],
            "start_date": starts[term.subscription],
            "current_period_start": period_starts[term.subscription],
            "current_period_end": term.renewal_at,
            "cancel_at_period_end": False,
            "canceled_at": term.ended_at,
            "ended_at": term.ended_at,
            "cancellation_details_reason": {None: None, "nonpayment": "payment_failed"}.get(
                term.end_reason, "cancellation_requested"
            ),
        }
        for term in _newest(terms)
    ]


def _items(terms: list[Term]) -> Rows:
    return [
        {
            "id": token("si_", term.subscription),
            "subscription_id": term.subscription,
            "price_id": term.price,
            "quantity": term.seats,
        }
        for term in _newest(terms)
    ]


def _invoices(terms: list[Term]) -> tuple[Rows, Rows]:
    """Return the lines and the invoices: one for each period, and one for each change within a period."""
    lines, invoices = [], []
    before: Term | None = None
    for term in terms:
        invoice = token("in_", f"{term.subscription}{term.started_at}")
        own = [_line(term, invoice, term.cents, term.started_at, proration=False)]
        if term.mid_term and before is not None:
            share = (term.renewal_at - term.started_at) / pd.Timedelta(days=term.months * DAYS_PER_MONTH)
            own = [
                _line(before, invoice, -round(before.cents * share), term.started_at, proration=True),
                _line(term, invoice, round(term.cents * share), term.started_at, proration=True),
            ]
        lines += own
        total = sum(line["amount"] for line in own)
        invoices.append(
            {
                "id": invoice,
                "customer_id": term.customer,
                "subscription_id": term.subscription,
                "created": term.started_at,
                "status": "paid",
                "paid": True,
                "currency": "usd",
                "total": total,
                "amount_due": max(total, 0),
                "amount_paid": max(total, 0),
                "status_transitions_paid_at": term.started_at + PAID_AFTER,
                "billing_reason": "subscription_update" if term.mid_term else "subscription_cycle",
            }
        )
        before = term
    return lines, invoices


def _line(term: Term, invoice: str, amount: int, start: pd.Timestamp, *, proration: bool) -> dict[str, Any]:
    return {
        "id": token("il_", f"{invoice}{term.price}"),
        "invoice_id": invoice,
        "subscription_id": term.subscription,
        "subscription_item_id": token("si_", term.subscription),
        "price_id": term.price,
        "type": "invoiceitem" if proration else "subscription",
        "proration": proration,
        "amount": amount,
        "quantity": term.seats,
        "currency": "usd",
        "period_start": start,
        "period_end": term.renewal_at,
    }


def _failed_charges(billing: pd.DataFrame, ids: Mapping[str, AccountIds]) -> Rows:
    failed = billing[billing["kind"] == "payment_failed"]
    return [
        {
            "id": token("ch_", f"{row.account_id}{row.occurred_at}"),
            "customer_id": ids[row.account_id].stripe,
            "created": row.occurred_at,
            "status": "failed",
            "paid": False,
            "amount": round(row.amount * 100) if pd.notna(row.amount) else 0,
            "currency": "usd",
            "failure_code": "card_declined",
        }
        for row in _rows(failed)
    ]


def _in_seconds(frame: pd.DataFrame) -> pd.DataFrame:
    """Write every instant as seconds since 1970."""
    return frame.assign(
        **{name: epoch_seconds(pd.to_datetime(frame[name], utc=True)) for name in frame if name in INSTANTS}
    )


def _rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Iterate over rows with a column per attribute."""
    return frame.itertuples(index=False)
