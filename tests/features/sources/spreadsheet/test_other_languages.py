"""Sheets with German, French and Spanish headers are read like English ones, and what they leave open is stated."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from features.errors import SignalsError
from features.signals.signals import read_signals
from features.snapshots.snapshot import snapshot
from features.sources.base import Source
from features.sources.open_source import open_source
from features.sources.spreadsheet.statuses import read_status
from features.sources.spreadsheet.values import read_color, read_date, read_flag, read_risk
from features.utils.dates import Grid

AS_OF = datetime(2026, 9, 30, tzinfo=UTC)
GERMAN = """\
Kunde;Jahresumsatz;Vertragsende;Kunde seit;Lizenzen;Aktive Nutzer;Letzter Login;Offene Tickets;Ampel;Betreuer;Status;Notizen
Nordwind GmbH;120.000,50 €;15.12.2026;01.03.2021;100;85;28.09.2026;1;grün;Dana;aktiv;SECRET ruft im Mai an
Fabrikam AG;48 T€;01.11.2026;05.06.2022;50;12;01.07.2026;7;Rot;Dana;gefährdet;
Contoso;800 €/Monat;offen;02.02.2024;10;;01.09.2026;0;gelb;Lee;aktiv;
Adventure;1.000,00 €;31.12.2025;02.02.2020;10;;01.09.2025;0;;Lee;ehemaliger Kunde;
Gesamt;168.000,50 €;;;170;;;8;;;;
"""
FRENCH = """\
Client;Revenu annuel récurrent;Échéance;Client depuis;Licences;Santé;Responsable client
Nord;120 000,50 €;15/12/2026;01/03/2021;100;vert;Dana
Sud;48 000 €;à définir;5 juin 2022;50;rouge;Dana
"""
SPANISH = """\
Cliente;Cuota mensual;Fecha de renovación;Cliente desde;Licencias;Riesgo;Gestor de cuenta
Norte;10.000,50 €;15 de diciembre de 2026;01/03/2021;100;bajo;Dana
Sur;4.000 €;31/10/2026;05/06/2022;50;alto;Dana
"""


def _open(folder: Path, text: str, name: str = "customers-2026-09-30.csv", options: str = "") -> Source:
    (folder / name).write_text(text, encoding="utf-8")
    return open_source(f"{folder / name}{options}")


def _rows(source: Source) -> dict[str, dict[str, object]]:
    frame = snapshot(read_signals(source, AS_OF), Grid.single(AS_OF)).set_index("account_id")
    return {str(account): dict(row) for account, row in frame.iterrows()}


def test_a_german_sheet_is_read(tmp_path: Path) -> None:
    source = _open(tmp_path, GERMAN)
    people = {row["account_id"]: row["csm"] for row in source.tables["accounts"].to_pyarrow().to_pylist()}
    rows = _rows(source)
    assert people == {"Nordwind GmbH": "Dana", "Fabrikam AG": "Dana", "Contoso": "Lee"}
    assert [rows[name]["contract.arr"] for name in people] == [120_000.5, 48_000, 9_600]
    # September 30 to December 15, and to November 1: with points, the day is first.
    assert [rows[name]["contract.days_to_renewal"] for name in ("Nordwind GmbH", "Fabrikam AG")] == [76, 32]
    assert [rows[name]["pulse.sentiment"] for name in people] == [1, -1, 0]
    assert rows["Fabrikam AG"]["support.open_tickets"] == 7
    notes = "\n".join(source.notes)
    assert "'Vertragsende' = the end of the contracted term (day first, shown by its values)" in notes
    assert "'Kunde seit' = when the account became a customer (day first, as in the other columns)" in notes
    assert "'Notizen' (no rule reads free text, and personal data in it stay in the sheet alone)" in notes
    assert "1 row of former customers is left out" in notes
    assert "1 row with totals was left out" in notes
    assert "SECRET" not in notes


def test_dates_with_points_that_show_no_order_are_an_assumption(tmp_path: Path) -> None:
    text = "Kunde;ARR;Vertragsende\nA;1000;03.04.2027\nB;1000;05.06.2027\n"
    source = _open(tmp_path, text)
    assert "(day first, an assumption; add ?dates=month-first to the address to read it the other way)" in "\n".join(source.notes)
    assert _rows(source)["A"]["contract.days_to_renewal"] == (date(2027, 4, 3) - AS_OF.date()).days
    stated = _rows(_open(tmp_path, text, options="?dates=month-first"))
    assert stated["A"]["contract.days_to_renewal"] == (date(2027, 3, 4) - AS_OF.date()).days
    with pytest.raises(SignalsError, match="are day first in row 2 and month first in row 3"):
        _open(tmp_path, text.replace("03.04", "13.04").replace("05.06", "05.16"))


@pytest.mark.parametrize(("text", "names"), [(FRENCH, ("Nord", "Sud")), (SPANISH, ("Norte", "Sur"))])
def test_french_and_spanish_sheets_are_read(tmp_path: Path, text: str, names: tuple[str, str]) -> None:
    first, second = (_rows(_open(tmp_path, text))[name] for name in names)
    assert first["contract.arr"] == pytest.approx(120_000.5 if "Nord" in names else 120_006)
    assert second["contract.arr"] == 48_000
    assert first["contract.days_to_renewal"] == 76
    assert first["contract.seats"] == 100
    assert [first["pulse.sentiment"], second["pulse.sentiment"]] == [1, -1]


#: Headers as people write them, with other words around the names of the columns.
WORDY = {
    "German": """\
Kd.-Nr.;Kundenbezeichnung;Umsatz/Jahr netto;Nächster Verlängerungstermin;Lizenzen (gebucht);aktive User;letzter Login am;offene Support-Tickets;Gesundheitsstatus;Vertragsstatus
1;Nordwind GmbH;120.000,50;15.12.2026;100;85;28.09.2026;1;grün;aktiv
2;Fabrikam AG;48.000,00;01.11.2026;50;12;01.07.2026;7;rot;aktiv
""",
    "French": """\
N° de client;Nom de l'entreprise;Montant annuel HT;Date d'échéance du contrat;Nb de licences;Nb d'utilisateurs actifs;Date de dernière connexion;Tickets en cours;Santé du client;Statut
1;Nord;120 000,50 €;15/12/2026;100;85;28/09/2026;1;vert;actif
2;Sud;48 000,00 €;01/11/2026;50;12;01/07/2026;7;rouge;actif
""",
    "Spanish": """\
Nº de cliente;Nombre de la empresa;Importe anual (€);Fecha de vencimiento del contrato;Nº de licencias;Usuarios activos (30 días);Fecha de último acceso;Tickets pendientes;Salud del cliente;Estado
1;Norte;120.000,50;15/12/2026;100;85;28/09/2026;1;verde;activo
2;Sur;48.000,00;01/11/2026;50;12;01/07/2026;7;rojo;activo
""",
}


@pytest.mark.parametrize("language", WORDY)
def test_headers_with_other_words_around_the_names_are_read(tmp_path: Path, language: str) -> None:
    source = _open(tmp_path, WORDY[language])
    assert not any("not recognized" in note for note in source.notes)
    rows = _rows(source)
    names = ("contract.arr", "contract.days_to_renewal", "contract.seats", "usage.active_users_28d", "usage.days_since_last", "support.open_tickets", "pulse.sentiment")
    found = [[rows[account][name] for name in names] for account in ("1", "2")]
    # September 30 to December 15, and to November 1; the last logins were on September 28 and July 1.
    assert found == [[120_000.5, 76, 100, 85, pytest.approx(2, abs=0.01), 1, 1], [48_000, 32, 50, 12, pytest.approx(91, abs=0.01), 7, -1]]


def test_words_of_cells() -> None:
    assert [read_flag(text) for text in ("Ja", "nein", "Oui", "non", "Sí")] == [1, 0, 1, 0, 1]
    # High health is good, and a high risk is not.
    assert [read_color(text) for text in ("Grün", "hoch", "niedrig", "jaune", "Rojo")] == ["green", "green", "red", "yellow", "red"]
    assert [read_risk(text) for text in ("hoch", "mittel", "gering", "élevé")] == ["red", "yellow", "green", "red"]
    statuses = ("Aktiv", "Ehemaliger Kunde seit 2024", "Ex-Kunde", "Interessent", "Résilié", "Cliente", "gekündigt")
    # In German, a contract runs on after notice.
    assert [read_status(text) for text in statuses] == ["customer", "former", "former", "possible", "former", "customer", "notice"]


@pytest.mark.parametrize("text", ["3. März 2026", "3 mars 2026", "3 de marzo de 2026", "3. Mrz. 2026", "3.3.2026"])
def test_months_have_names_in_other_languages(text: str) -> None:
    found = read_date(text, day_first=True)
    assert found is not None
    assert found.date() == date(2026, 3, 3)
    summer = [read_date(text, day_first=True) for text in ("1er juin 2026", "1 juillet 2026", "1. Juli 2026", "1 août 2026", "1. Dez. 2026")]
    assert [day.month for day in summer if day is not None] == [6, 7, 7, 8, 12]
