"""Usual spellings of the contract's values in tables that no pack knows."""

from __future__ import annotations

OVER = (
    "canceled",
    "cancelled",
    "churned",
    "closed",
    "deactivated",
    "ended",
    "expired",
    "finished",
    "inactive",
    "lapsed",
    "lost",
    "non_renewed",
    "not_renewed",
    "stopped",
    "terminated",
)
"""Statuses of contracts that have ended."""
NEVER_BEGAN = (
    "abandoned",
    "declined",
    "draft",
    "failed",
    "incomplete",
    "incomplete_expired",
    "rejected",
    "void",
    "voided",
)
"""Statuses of contracts that never began."""
NOT_DUE = ("void", "voided", "draft", "cancelled", "canceled", "deleted", "uncollectible", "written_off", "reversed")
"""Statuses of invoices that count for nothing."""
CLOSED = (
    "closed",
    "solved",
    "resolved",
    "done",
    "completed",
    "complete",
    "finished",
    "cancelled",
    "canceled",
    "merged",
)
"""Statuses of tickets that are not open."""
SPELLINGS: dict[str, tuple[str, ...]] = {
    "urgent": ("urgent", "critical", "blocker", "p1", "p0", "sev1", "1"),
    "high": ("high", "major", "p2", "sev2", "2"),
    "normal": ("normal", "medium", "moderate", "p3", "sev3", "3"),
    "low": ("low", "minor", "trivial", "p4", "sev4", "4"),
    "cancelled": ("cancelled", "canceled", "churned", "terminated", "customer_request"),
    "nonpayment": ("nonpayment", "non-payment", "unpaid", "payment_failed", "payment failure"),
    "renewed": ("renewed", "renewal"),
    "upgraded": ("upgraded", "upgrade"),
    "downgraded": ("downgraded", "downgrade"),
    "active": ("active", "live", "current", "signed"),
    "trial": ("trial", "trialing", "trialling", "in_trial"),
    "paused": ("paused", "on_hold", "suspended"),
    "past_due": ("past_due", "past due", "overdue"),
    "invoice_paid": ("paid", "settled", "succeeded", "success", "completed", "complete"),
}
"""How values of the contract are often written."""
