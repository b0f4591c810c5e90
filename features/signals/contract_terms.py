"""Subscriptions whose source overwrites the term: what a row says of its terms is known only from that term's start.

Billing systems often keep one row per subscription and write each renewal over it. Such a row says since when its
current term runs (``term_started_at``); what held before that is lost. So the row is read as two: one from the
subscription's start to the start of the term, whose terms are unknown, and one from there on, as given. Everything
that reads subscriptions sees rows of which all is known from their start.
"""

from __future__ import annotations

import ibis

from features.sources.engine import CUTOFF

TERMS = ("arr", "seats", "plan", "usage_limit", "renewal_at")
"""The columns of a subscription that hold for one term."""

TOLERATED_SHARE = 0.01
"""So many of the accounts may have unknown terms. Where it is more, those whose terms are known are mostly those that
left, and nothing that rests on terms can be told from them."""


def by_term(rows: ibis.Table) -> ibis.Table:
    """Split the rows whose current term began after the subscription did.

    Parameters
    ----------
    rows : subscriptions in the contract's columns, cut off (see `features.signals.signals`).

    Returns
    -------
    ibis.Table
        The same columns. The earlier part of a split row has no `TERMS` and no ``term_started_at``; it ends where the
        term starts, without a reason, or where the subscription ended if that was before. The later part starts with
        the term. A term that starts at the cut-off or later is not known yet.
    """
    rows = rows.cross_join(CUTOFF)
    began = rows.term_started_at
    renewed = (began > rows.started_at).fill_null(False)
    ended = (rows.ended_at <= began).fill_null(False)
    begun = (began < rows.cutoff).fill_null(False)
    names = [name for name in rows.columns if name not in CUTOFF.columns]
    unknown = {name: ibis.null(rows[name].type()) for name in (*TERMS, "term_started_at")}
    earlier = rows.filter(renewed).mutate(
        **unknown,
        ended_at=ibis.ifelse(ended, rows.ended_at, ibis.ifelse(begun, began, ibis.null("timestamp"))),
        end_reason=ibis.ifelse(ended, rows.end_reason, ibis.null("string")),
        notice_at=ibis.ifelse(ended | (rows.notice_at < began), rows.notice_at, ibis.null("timestamp")),
    )
    later = rows.filter(~renewed | (begun & ~ended))
    later = later.mutate(started_at=ibis.ifelse(renewed, began, rows.started_at))
    return later.select(*names).union(earlier.select(*names))
