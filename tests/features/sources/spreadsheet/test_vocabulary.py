"""The vocabulary of columns is consistent with itself, the features and the contract."""

from __future__ import annotations

import pytest

from features.catalogue.catalogue import CATALOGUE
from features.sources.spreadsheet.vocabulary import field_of, fields, normalized


def test_every_spelling_names_its_column() -> None:
    for field in fields().values():
        for name in field.names:
            assert normalized(name) == name
            assert field_of(name) == (field.name, True), name


def test_names_in_other_languages_are_of_one_column() -> None:
    for field in fields().values():
        for name in (name for names in field.translations.values() for name in names):
            assert field_of(name) == (field.name, True), name


def test_columns_state_features_that_exist() -> None:
    features = {field.feature for field in fields().values() if field.feature}
    assert features <= set(CATALOGUE)
    assert all(CATALOGUE[name].kind == "number" for name in features)


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("ARR", "arr"), ("ARR (USD)", "arr"), ("arr_usd", "arr"), ("Annual Recurring Revenue $", "arr"), ("MRR", "mrr"), ("Renewal Date", "renewal_at"),
        ("RenewalDate", "renewal_at"), ("Contract End", "renewal_at"), ("Customer Name", "name"), ("Account ID", "account_id"),
        ("# of Seats", "seats"), ("Last Login Date", "last_login"), ("NPS", "nps"), ("Open Tickets (#)", "open_tickets"), ("Last QBR", "last_qbr"),
        ("CSM", "csm"), ("RAG", "health"), ("Auto-Renew", "auto_renew"), ("Annualised revenue", "arr"), ("Seat utilisation", "seats_used_share"), ("Annual revenue", None), ("Notes", "notes"), ("", None),
        ("Kunde", "name"), ("Vertragsende", "renewal_at"), ("VERLÄNGERUNG", "renewal_at"), ("Verlaengerung", "renewal_at"), ("Jahresumsatz (TEUR)", "arr"),
        ("Ampel", "health"), ("Betreuer", "csm"), ("Notizen", "notes"), ("Kunden-Nr.", "account_id"), ("Échéance", "renewal_at"), ("Nb de licences", "seats"),
        ("Fecha de renovación", "renewal_at"), ("N° client", "account_id"), ("Seit", "created_at"),
        # With other words around the name, in the order of the languages.
        ("Vertragsende am", "renewal_at"), ("Nächster Verlängerungstermin", "renewal_at"), ("Vertragslaufzeit bis", "renewal_at"), ("Umsatz/Jahr", "arr"),
        ("Lizenzen (gebucht)", "seats"), ("aktive User", "active_users"), ("letzter Login am", "last_login"), ("Letzter Kontakt am", "last_contact"),
        ("offene Support-Tickets", "open_tickets"), ("Kündigung am", "notice_at"), ("Kündigung zum", "churned_at"), ("Kündigungsfrist", None), ("Anzahl Kunden", None),
        ("Nom de l'entreprise", "name"), ("Montant annuel HT", "arr"), ("Date d'échéance du contrat", "renewal_at"), ("Nb d'utilisateurs actifs", "active_users"),
        ("Date de dernière connexion", "last_login"), ("Tickets en cours", "open_tickets"), ("Score NPS", "nps"), ("Nombre de client", None), ("Nom du contact", None),
        ("Nombre de la empresa", "name"), ("Fecha de vencimiento del contrato", "renewal_at"), ("Nº de licencias", "seats"), ("Usuarios activos (30 días)", "active_users"),
        ("Fecha de último acceso", "last_login"), ("Gestor de la cuenta", "csm"), ("Puntuación NPS", "nps"), ("Número de cuenta", "account_id"), ("Nº de empleados", "employees"), ("Nº de cliente", "account_id"), ("N° de client", "account_id"), ("Kunde Datum", None),
    ],
)  # fmt: skip
def test_usual_headers(header: str, field: str | None) -> None:
    found = field_of(header)
    assert (found and found[0]) == field
