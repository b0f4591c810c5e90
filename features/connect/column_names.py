"""Usual names of tables and columns, to draft a mapping of tables that no pack knows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from features.contract.schema import TABLES
from features.sources.spreadsheet.vocabulary import field_of, normalized

TABLE_NAMES: dict[str, tuple[str, ...]] = {
    "accounts": (
        "accounts", "account", "customers", "customer", "companies", "organizations", "orgs", "clients", "client",
        "organization", "tenants", "tenant", "workspaces",
    ),
    "subscriptions": (
        "subscriptions", "subscription", "subs", "contracts", "contract", "licenses", "agreements", "agreement",
    ),
    "orders": ("orders", "order", "purchases", "sales", "transactions"),
    "usage": (
        "usage", "events", "event", "product_events", "activity", "activities", "logins", "login", "sessions", "tracks",
        "page_views", "pageviews",
    ),
    "support": ("support", "tickets", "ticket", "cases", "case", "conversations", "support_tickets", "issues"),
    "engagement": ("engagement", "meetings", "calls", "emails", "trainings", "webinars"),
    "billing": ("billing", "payments", "invoices", "invoice"),
    "outcomes": ("outcomes", "nps", "csat", "surveys"),
    "relationship": ("relationship", "contacts_history"),
    "company": ("company_events",),
    "pulse": ("pulse",),
    "fx_rates": ("fx_rates", "fx", "exchange_rates", "currency_rates", "rates"),
}  # fmt: skip
"""Names of tables, by the table of the contract that they usually are."""
USERS = ("users", "user", "members", "app_users", "people", "seats")
"""Names of tables that say which account a user belongs to."""
_AFFIXES = frozenset(
    {
        "dim", "fct", "fact", "stg", "raw", "src", "int", "mart", "tbl", "table", "v", "vw", "view", "export",
        "exports", "exported", "data", "all", "prod", "app", "dump", "list", "log", "logs", "daily", "final", "latest",
        "helpdesk", "crm", "product", "our", "full",
    }
)  # fmt: skip
"""Words that the name of a table may have or lack."""
_ACCOUNT = ("account_id", "account", "customer_id", "customer", "company_id", "organization_id", "org_id", "client_id")
_CREATED = ("created_at", "created", "created_date", "createddate", "create_date", "signup_date", "signed_up")
_AT = ("occurred_at", "timestamp", "event_time", "event_at", "time", "date", "at", "when", *_CREATED)
TERM_ENDS = ("end_date", "ends_at", "ends_on", "end", "valid_to", "valid_until", "contract_end")
"""The ends of a contract that its first day already knows."""
_COLUMNS: dict[str, tuple[str, ...]] = {
    "account_id": _ACCOUNT,
    "occurred_at": _AT,
    "created_at": (*_CREATED, "customer_since", "since", "signed_up_at", "start_date"),
    "name": (
        "name", "company_name", "account_name", "customer_name", "company", "organization", "firm", "firm_name",
        "legal_name", "client_name", "client",
    ),
    "industry": ("industry", "segment", "vertical", "sector", "branch"),
    "region": ("region", "country", "billing_country", "territory"),
    "employees": ("employees", "employee_count", "number_of_employees", "numberofemployees", "headcount"),
    "csm": (
        "csm", "csm_name", "account_manager", "account_mgr", "customer_success_manager", "owner", "owner_name",
    ),
    "parent_id": ("parent_id", "parent_account_id", "parentid", "parent"),
    "acquisition_cost": ("acquisition_cost", "customer_acquisition_cost", "cac"),
    "started_at": (
        "started_at", "started_on", "start_date", "start", "starts_at", "starts_on", "term_start", "begin_date",
        "begin", "begins_at", "valid_from", "effective_date", "activated_at",
    ),
    "ended_at": (
        "ended_at", "ended_on", "canceled_at", "cancelled_at", "churned_at", "terminated_at", "canceled_on",
        "cancelled_on", *TERM_ENDS,
    ),
    "renewal_at": ("renewal_at", "renewal_date", "renews_at", "next_renewal", "term_end", "expires_at", "expiry_date"),
    "arr": (
        "arr", "annual_value", "acv", "arr_cents", "mrr", "mrr_cents", "monthly_amount", "annual_amount",
        "annual_price", "value_per_year", "yearly_amount", "monthly_price", "price_per_month",
    ),
    "seats": ("seats", "licenses", "quantity", "users"),
    "plan": ("plan", "plan_name", "tier", "edition"),
    "product": ("product", "product_name", "sku"),
    "currency": (
        "currency", "currency_code", "currency_iso_code", "iso_currency", "curr", "ccy", "billing_currency",
        "invoice_currency", "contract_currency", "price_currency", "from_currency", "source_currency",
    ),
    "end_reason": ("end_reason", "churn_reason", "cancel_reason", "cancellation_reason"),
    "status": (
        "status", "contract_status", "subscription_status", "contract_state", "subscription_state", "state",
    ),
    "subscription_id": (
        "subscription_id", "contract_id", "agreement_id", "subscription_no", "subscription_number", "contract_no",
        "contract_nr", "contract_number", "agreement_no", "agreement_number", "id",
    ),
    "amount": ("amount", "total", "price", "amount_cents", "total_cents", "revenue"),
    "order_id": ("order_id", "order_no", "order_number", "id"),
    "user_id": ("user_id", "user", "userid", "user_email", "username", "email", "who"),
    "feature": ("feature", "event_name", "event", "action", "page"),
    "minutes": ("minutes", "duration_minutes", "duration_seconds", "seconds"),
    "event_id": ("event_id", "id", "uuid", "message_id", "invoice_no", "invoice_number"),
    "loaded_at": ("loaded_at", "received_at", "ingested_at"),
    "ticket_id": ("ticket_id", "case_id", "ticket", "ticket_no", "ticket_number", "number", "id"),
    "resolved_at": ("resolved_at", "solved_at", "closed_at", "resolved", "closed", "closed_date"),
    "severity": ("severity", "priority", "urgency"),
    "csat": ("csat", "satisfaction", "satisfaction_score", "rating"),
    "topic": ("topic", "category", "type"),
    "value": ("value", "score", "rating"),
    "rate": ("rate", "exchange_rate"),
}  # fmt: skip
_FIELDS: dict[str, dict[str, tuple[str, ...]]] = {
    "accounts": {
        "account_id": ("account_id",),
        "created_at": ("created_at",),
        **{each: (each,) for each in ("name", "industry", "region", "employees", "csm")},
    },
    "subscriptions": {
        "account_id": ("account_id",),
        "started_at": ("term_started_at", "created_at"),
        "ended_at": ("churned_at",),
        "arr": ("arr", "mrr"),
        **{each: (each,) for each in ("seats", "plan", "product", "currency", "status", "renewal_at", "notice_at")},
    },
}
"""The fields of a spreadsheet (`features.sources.spreadsheet.vocabulary`) that are columns of the contract."""
_TRANSLATIONS = {
    "customers": ("kunden", "clientes", "societes", "entreprises", "empresas"),
    "subscriptions": ("abonnements", "abos", "contrats", "vertrage", "vertraege", "contratos", "suscripciones"),
    "orders": ("commandes", "bestellungen", "auftrage", "auftraege", "pedidos"),
    "invoices": ("factures", "rechnungen", "facturas"),
    "payments": ("paiements", "zahlungen", "pagos"),
    "events": ("evenements", "ereignisse", "eventos"),
    "support_tickets": ("tickets_support", "incidencias", "supportanfragen"),
    "customer_id": (
        "identifiant_client", "id_client", "code_client", "n_client", "no_client", "num_client", "numero_client",
        "kunden_id", "kundennummer", "kunden_nr", "kundennr", "id_cliente", "codigo_cliente", "n_cliente",
        "numero_cliente", "identificador_cliente",
    ),
    "company_name": (
        "raison_sociale", "nom_client", "nom_du_client", "societe", "entreprise", "firma", "firmenname", "kundenname",
        "razon_social", "nombre_cliente", "empresa",
    ),
    "country": ("pays", "land", "pais"),
    "industry": ("secteur", "branche", "sector"),
    "created_at": (
        "date_de_creation", "date_creation", "cree_le", "angelegt_am", "erstellt_am", "erstellungsdatum",
        "fecha_de_creacion", "fecha_creacion", "creado_el",
    ),
    "start_date": (
        "date_de_debut", "date_debut", "debut", "beginn", "startdatum", "vertragsbeginn", "fecha_de_inicio",
        "fecha_inicio", "inicio",
    ),
    "end_date": ("date_de_fin", "date_fin", "fin", "ende", "enddatum", "vertragsende", "fecha_de_fin", "fecha_fin"),
    "cancelled_at": ("date_de_resiliation", "date_resiliation", "resilie_le", "fecha_de_baja", "fecha_baja"),
    "renewal_date": (
        "date_de_renouvellement", "date_renouvellement", "verlangerungsdatum", "verlaengerungsdatum",
        "fecha_de_renovacion", "fecha_renovacion",
    ),
    "monthly_amount": (
        "montant_mensuel", "monatsbetrag", "monatlicher_betrag", "betrag_pro_monat", "importe_mensual", "monto_mensual",
    ),
    "annual_amount": (
        "montant_annuel", "jahresbetrag", "jahrlicher_betrag", "betrag_pro_jahr", "importe_anual", "monto_anual",
    ),
    "amount": ("montant", "betrag", "importe", "monto"),
    "currency": ("devise", "wahrung", "waehrung", "moneda", "divisa"),
    "quantity": ("quantite", "menge", "cantidad"),
    "licenses": ("licences", "lizenzen", "licencias", "nombre_de_licences", "anzahl_lizenzen"),
    "plan": ("formule", "offre", "plan_tarifario"),
    "status": ("statut", "estado"),
    "subscription_id": (
        "n_contrat", "no_contrat", "numero_contrat", "numero_de_contrat", "id_contrat", "vertragsnummer", "vertrags_id",
        "n_contrato", "numero_contrato", "numero_de_contrato", "id_contrato",
    ),
    "invoice_number": (
        "n_facture", "no_facture", "numero_facture", "numero_de_facture", "rechnungsnummer", "rechnungsnr", "n_factura",
        "numero_factura", "numero_de_factura",
    ),
    "invoice_date": ("date_de_facture", "date_facture", "rechnungsdatum", "fecha_de_factura", "fecha_factura"),
    "due_date": (
        "date_d_echeance", "date_echeance", "fallig_am", "faellig_am", "falligkeitsdatum", "faelligkeitsdatum",
        "fecha_de_vencimiento", "fecha_vencimiento",
    ),
    "paid_date": (
        "date_de_paiement", "date_paiement", "paye_le", "bezahlt_am", "zahlungsdatum", "fecha_de_pago", "fecha_pago",
        "pagado_el",
    ),
    "timestamp": ("horodatage", "zeitstempel", "zeitpunkt", "marca_de_tiempo"),
    "date": ("datum", "fecha"),
    "user": ("utilisateur", "benutzer", "nutzer", "usuario"),
    "action": ("aktion", "accion"),
    "ticket_id": (
        "n_ticket", "no_ticket", "numero_ticket", "numero_de_ticket", "id_ticket", "ticketnummer", "ticket_nr",
    ),
    "resolved_at": (
        "date_de_resolution", "date_resolution", "resolu_le", "gelost_am", "geloest_am", "fecha_de_resolucion",
        "fecha_resolucion", "resuelto_el",
    ),
    "priority": ("priorite", "prioritat", "prioritaet", "prioridad"),
}  # fmt: skip
"""Names in German, French and Spanish without accents, by the English one."""
_TRANSLATED = {name: english for english, names in _TRANSLATIONS.items() for name in names}
_NO_ACCOUNT = ("id", "record id")
"""Names that are an account's id only in a table of accounts."""
_ID = re.compile(r"(^|_)(id|ids|no|nr|number|num|key|code|uuid|guid|ref)$")
_CURRENCY = re.compile(r"(^|_)(currency|curr|ccy)(_|$)")
_INSTANT = re.compile(r"(^|_)(at|date|on|time|timestamp|ts|day|datetime)$")
_OTHER_INSTANT = re.compile(
    r"resol|clos|solv|updat|modif|delet|load|receiv|ingest|sync|due|paid|settle|end|cancel|churn|expir|renew|birth|last|next|until"
)
"""Names of instants that are not when a row happened."""


def table_of_name(plain: str) -> str | None:
    """Return the table of the contract with such a name, in `plain_name`; None if the name is not usual."""
    core = core_name(plain)
    names = {name: table for table, some in TABLE_NAMES.items() for name in some}
    for each in (plain, core):
        if each in names:
            return names[each]
    *before, last = core.split("_")
    # The events of a ticket are not the events of users, but the orders of a customer are orders.
    others = {names.get(word) for word in before} | {names.get(f"{word}s") for word in before}
    return names.get(last) if before and others <= {None, "accounts"} and not set(before) & set(USERS) else None


def names_other_table(plain: str) -> bool:
    """Return whether a word of the name of a table, in `plain_name`, names something else than accounts or usage."""
    names = {name: table for table, some in TABLE_NAMES.items() for name in some}
    words = core_name(plain).split("_")
    return bool({names.get(form) for word in words for form in (word, f"{word}s")} - {None, "accounts", "usage"})


def core_name(plain: str) -> str:
    """Return a name without the words that it may have or lack."""
    words = [word for word in plain.split("_") if word not in _AFFIXES and not word.isdigit()]
    return "_".join(words) or plain


def table_of_columns(columns: Mapping[str, str]) -> str | None:
    """Return the table of the contract whose typical columns are there; None if there is none.

    Parameters
    ----------
    columns : the given columns with their types.
    """
    given = {plain_name(column) for column in columns}
    of_account = bool(given & set(_ACCOUNT)) or bool(given & {"user_id", "userid"})
    at = bool(given & set(_AT)) or any(map(is_instant, given))
    named = {column: bool(given & set(_COLUMNS[column])) for column in ("arr", "started_at", "severity", "resolved_at")}
    if of_account and named["arr"] and named["started_at"]:
        return "subscriptions"
    if of_account and at and named["severity"] and (named["resolved_at"] or "status" in given):
        return "support"
    if of_account and at and given & {"event", "event_name", "event_type", "action", "feature", "page"}:
        return "usage"
    return None


def own_column(table: str, column: str, columns: Mapping[str, str], matched: Mapping[str, str]) -> str | None:
    """Return the given column that is a column of the contract, by its names here, of spreadsheets, or its ending.

    Parameters
    ----------
    table, column : the table of the contract and its column.
    columns : the given columns with their types.
    matched : columns of the contract that are found already, with the given ones.
    """
    given = {plain_name(own): own for own in columns}
    names = _COLUMNS.get(column, (column,))
    if table == "accounts" and column == "account_id":
        names = (*names, "id", "key", "uuid")
    taken = set(matched.values())
    for name in names:
        if name in given and given[name] not in taken:
            return given[name]
    fields = _FIELDS.get(table, {}).get(column, ("account_id",) if column == "account_id" else ())
    for wanted in fields:
        for own in columns:
            found = field_of(own)
            if own in taken or found is None or found[0] != wanted or not found[1]:
                continue
            if wanted != "account_id" or table == "accounts" or normalized(own) not in _NO_ACCOUNT:
                return own
    if column == TABLES[table].at and table not in ("accounts", "subscriptions"):
        return next((own for plain, own in given.items() if is_instant(plain) and own not in taken), None)
    if (table, column) == ("accounts", "created_at"):
        # The only day that a table of accounts has is the one on which they began.
        some = [own for plain, own in given.items() if is_instant(plain) and own not in taken]
        return some[0] if len(some) == 1 else None
    return None


def is_instant(plain: str) -> bool:
    """Return whether a column with such a name, in `plain_name`, says when a row happened."""
    return _INSTANT.search(plain) is not None and _OTHER_INSTANT.search(plain) is None


def is_currency(plain: str) -> bool:
    """Return whether a column with such a name, in `plain_name`, may have the code of a currency."""
    return _CURRENCY.search(plain) is not None


def is_id(name: str) -> bool:
    """Return whether the name of a column is that of an id."""
    return _ID.search(plain_name(name)) is not None


def plain_name(name: str) -> str:
    """Return a name in lower case with underscores: ``CreatedDate`` and ``created date`` are ``created_date``.

    Names in German, French and Spanish that have one meaning are those in English: ``Raison sociale`` is
    ``company_name``.

    Examples
    --------
    >>> plain_name("CreatedDate"), plain_name("Date d'échéance"), plain_name("Kündigungsgrund")
    ('created_date', 'due_date', 'kundigungsgrund')
    """
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    letters = unicodedata.normalize("NFKD", parted.replace("ß", "ss").replace("º", "").replace("°", ""))
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    plain = re.sub(r"[^a-z0-9]+", "_", bare.lower()).strip("_")
    return _TRANSLATED.get(plain, plain)
