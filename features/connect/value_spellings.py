"""Usual spellings of the contract's values in tables that no pack knows: English, then German, French and Spanish.

They are in lower case, with ``_`` for blanks and hyphens. Only words with one meaning are here. Some have two, and
stay open: *gekündigt* (notice was given, or the contract is over), *vencido* of a contract (overdue, or expired),
*cancelada* of an invoice (void, or paid).
"""

from __future__ import annotations

from features.utils.sql_text import sql_identifier

OVER = (
    "canceled", "cancelled", "churned", "closed", "deactivated", "ended", "expired", "finished", "inactive", "lapsed",
    "lost", "non_renewed", "not_renewed", "stopped", "terminated",
    "beendet", "abgelaufen", "ausgelaufen", "inaktiv", "storniert", "verloren", "nicht_verlängert", "nicht_verlaengert",
    "résilié", "résiliée", "resilie", "resiliee", "terminé", "terminée", "termine", "terminee", "expiré", "expirée",
    "expire", "expiree", "inactif", "perdu", "perdue", "annulé", "annulée", "annule", "annulee", "non_renouvelé",
    "non_renouvele",
    "cancelado", "cancelada", "terminado", "terminada", "finalizado", "finalizada", "expirado", "expirada", "caducado",
    "caducada", "inactivo", "inactiva", "rescindido", "rescindida", "perdido", "perdida", "no_renovado", "no_renovada",
)  # fmt: skip
"""Statuses of contracts that have ended."""
NEVER_BEGAN = (
    "abandoned", "declined", "draft", "failed", "incomplete", "incomplete_expired", "rejected", "void", "voided",
    "entwurf", "abgelehnt", "brouillon", "refusé", "refusée", "refuse", "borrador", "rechazado", "rechazada",
)  # fmt: skip
"""Statuses of contracts that never began."""
NOT_DUE = (
    "void", "voided", "draft", "cancelled", "canceled", "deleted", "uncollectible", "written_off", "reversed",
    "storniert", "entwurf", "ausgebucht", "annulé", "annulée", "annule", "annulee", "brouillon", "anulado", "anulada",
    "borrador",
)  # fmt: skip
"""Statuses of invoices that count for nothing."""
DUE = (
    "open", "unpaid", "past_due", "overdue", "sent", "issued", "pending", "due", "posted", "outstanding", "not_paid",
    "partially_paid", "partial", "failed", "finalized", "approved", "authorised", "submitted", "awaiting_payment",
    "offen", "unbezahlt", "nicht_bezahlt", "ausstehend", "überfällig", "ueberfaellig", "fällig", "faellig", "versendet",
    "teilbezahlt", "gemahnt", "impayé", "impayée", "impaye", "impayee", "en_attente", "en_retard", "envoyé", "envoyée",
    "envoye", "envoyee", "non_payé", "non_payée", "non_paye", "non_payee", "échue", "echue", "pendiente", "impagado",
    "impagada", "no_pagado", "no_pagada", "vencido", "vencida", "enviado", "enviada",
)  # fmt: skip
"""Statuses of invoices that are not paid."""
CLOSED = (
    "closed", "solved", "resolved", "done", "completed", "complete", "finished", "cancelled", "canceled", "merged",
    "geschlossen", "gelöst", "geloest", "erledigt", "abgeschlossen", "fermé", "fermée", "ferme", "fermee", "clos",
    "clôturé", "cloture", "résolu", "résolue", "resolu", "resolue", "terminé", "termine", "cerrado", "cerrada",
    "resuelto", "resuelta", "solucionado", "solucionada",
)  # fmt: skip
"""Statuses of tickets that are not open."""
SPELLINGS: dict[str, tuple[str, ...]] = {
    "urgent": (
        "urgent", "critical", "blocker", "p1", "p0", "sev1", "1", "dringend", "kritisch", "urgente", "critique",
        "crítico", "crítica", "critico", "critica",
    ),
    "high": (
        "high", "major", "p2", "sev2", "2", "hoch", "élevé", "élevée", "eleve", "elevee", "haute", "alto", "alta",
    ),
    "normal": (
        "normal", "medium", "moderate", "p3", "sev3", "3", "mittel", "moyen", "moyenne", "normale", "medio", "media",
    ),
    "low": (
        "low", "minor", "trivial", "p4", "sev4", "4", "niedrig", "gering", "faible", "basse", "bajo", "baja",
    ),
    "cancelled": ("cancelled", "canceled", "churned", "terminated", "customer_request"),
    "nonpayment": (
        "nonpayment", "non-payment", "unpaid", "payment_failed", "payment failure", "zahlungsausfall", "nichtzahlung",
        "impayé", "impaye", "impago",
    ),
    "renewed": ("renewed", "renewal", "verlängert", "verlaengert", "renouvelé", "renouvele", "renovado"),
    "upgraded": ("upgraded", "upgrade"),
    "downgraded": ("downgraded", "downgrade"),
    "active": (
        "active", "live", "current", "signed", "aktiv", "laufend", "actif", "en_cours", "activo", "activa",
        "vigente",
    ),
    "trial": (
        "trial", "trialing", "trialling", "in_trial", "testphase", "probephase", "essai", "en_essai", "en_prueba",
    ),
    "paused": (
        "paused", "on_hold", "suspended", "pausiert", "ruhend", "en_pause", "suspendu", "suspendue", "en_pausa",
        "pausado", "pausada", "suspendido", "suspendida",
    ),
    "past_due": (
        "past_due", "past due", "overdue", "überfällig", "ueberfaellig", "im_verzug", "en_retard", "impayé", "impaye",
        "impagado", "impagada",
    ),
    "invoice_paid": (
        "paid", "settled", "succeeded", "success", "completed", "complete", "bezahlt", "beglichen", "payé", "payée",
        "paye", "payee", "réglé", "réglée", "regle", "reglee", "acquitté", "acquittée", "pagado", "pagada", "liquidado",
        "liquidada",
    ),
}  # fmt: skip
"""How values of the contract are often written."""
TOTALS = (
    "total", "totals", "grand_total", "sum", "gesamt", "summe", "gesamtsumme", "insgesamt", "totaux", "somme",
    "total_général", "total_general", "suma",
)  # fmt: skip
"""Labels of rows that add up the others."""
TRUE = ("true", "t", "1", "1.0", "yes", "y", "x", "ja", "wahr", "oui", "vrai", "sí", "si", "verdadero")
FALSE = ("false", "f", "0", "0.0", "no", "n", "nein", "falsch", "non", "faux", "falso")
"""How yes and no are written."""


def folded_sql(column: str) -> str:
    """Return SQL for the text of a column as values are written here; empty for none.

    Parameters
    ----------
    column : the column.
    """
    return f"regexp_replace(lower(trim(coalesce(CAST({sql_identifier(column)} AS VARCHAR), ''))), '[ -]+', '_', 'g')"
