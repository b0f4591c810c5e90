"""Subscriptions whose source overwrites their terms: a row's terms are known only from the start of the current term.

Billing systems often store one row per subscription and overwrite it at each renewal. Such a row has the start of its
current term (``term_started_at``), and earlier terms are lost. The row is therefore split in two: one from the
subscription's start to the start of the term, with unknown terms, and one from there on, unchanged. Every resulting row
is fully known from its start.
"""

from __future__ import annotations

import ibis

from features.sources.engine import CUTOFF

TERMS = ("arr", "seats", "plan", "usage_limit", "renewal_at", "status")
"""Columns of a subscription that apply to one term."""


def split_by_term(rows: ibis.Table) -> ibis.Table:
    """Split rows whose current term began after the subscription.

    Parameters
    ----------
    rows : subscriptions in the contract's columns, before the cut-off (see `features.signals.signals`).

    Returns
    -------
    ibis.Table
        The same columns. The earlier part of a split row has no `TERMS` and no ``term_started_at``. It ends when the
        term starts, without a reason, or when the subscription ended before that. The later part starts with the
        term. A term that starts at the cut-off or later is not yet known.
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
