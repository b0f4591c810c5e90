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
        ("Ampel", "health"), ("Betreuer", "csm"), ("Notizen", "notes"), ("Kunden-Nr.", "account_id"), ("Échéance", "renewal_at"), ("Nb de licences", None),
        ("Fecha de renovación", "renewal_at"), ("N° client", "account_id"), ("Seit", "created_at"),
    ],
)  # fmt: skip
def test_usual_headers(header: str, field: str | None) -> None:
    found = field_of(header)
    assert (found and found[0]) == field
