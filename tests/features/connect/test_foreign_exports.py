"""An export with French headers, blanks between thousands, decimal commas, a byte order mark, empty lines and totals."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.connect.column_names import plain_name
from features.connect.connection import connect
from features.signals.signals import open_signals

TABLES = {
    "clients": """
Identifiant client;Raison sociale;Pays;Date de création;Courriel
C1;Un;France;31/01/2024;Ann@Un.FR

C1;Un;France;31/01/2024;Ann@Un.FR
C2;Total;France;15/03/2024;bob@total.fr
Total;;;;
""",
    "abonnements": """
N° contrat;Identifiant client;Date de début;Date de fin;Montant mensuel;Formule;Statut
K1;C1;31/01/2025;31/01/2027;1 234,50;Pro;Actif
K2;C2;15/03/2025;15/03/2026;99,90;Pro;Résilié
K3;C2;15/03/2026;15/03/2027;1 000,00;Pro;Actif
Total;;;;2 334,40;;
""",
    "factures": """
N° facture;Identifiant client;Date de facture;Date d'échéance;Date de paiement;Montant;Statut
F1;C1;31/08/2026;10/09/2026;05/09/2026;1 234,50;payée
F2;C2;31/07/2026;10/08/2026;;1 000,00;impayée
Total;;;;;2 234,50;
""",
    "evenements": """
Identifiant client;Utilisateur;Horodatage;Action
C1;Ann@Un.FR;1790672400000;connexion
C2;bob@total.fr;1790500000000;export
""",
    "tickets": """
N° ticket;Identifiant client;Date de création;Date de résolution;Priorité
T1;C1;29/08/2026;;haute
T2;C2;01/08/2026;20/08/2026;basse
""",
}


def test_a_french_export_is_read_without_a_line_by_hand(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    for name, text in TABLES.items():
        mark = "" if name == "evenements" else "\N{ZERO WIDTH NO-BREAK SPACE}"
        (tmp_path / "given" / f"{name}.csv").write_bytes((mark + text.strip() + "\n\n").replace("\n", "\r\n").encode())
    result = connect([str(tmp_path / "given")], tmp_path / "m.toml")
    assert (result.problems, result.gaps) == ((), ())
    assert result.summary is not None
    # Twelve times 1,234.50 and 1,000.00. Both contracts end after the next quarter.
    assert result.summary.line == "2 active accounts, ARR 26.8k, 0 due next quarter"
    facts = [fact.text for fact in result.facts]
    assert sum(text.startswith("Rows of abonnements with a total are left out") for text in facts) == 1
    signals = open_signals(tmp_path / "m.toml")
    rows = {name: table.to_pyarrow().to_pylist() for name, table in signals.tables.items()}
    signals.close()
    assert sorted(row["name"] for row in rows["accounts"]) == ["Total", "Un"], "a company called Total stays"
    assert sorted(round(row["arr"], 2) for row in rows["subscriptions"]) == [1198.8, 12000.0, 14814.0]
    assert sorted((row["kind"], row["amount"]) for row in rows["billing"]) == [
        ("invoice_overdue", 1000.0),
        ("invoice_paid", 1234.5),
    ]
    assert sorted((row["ticket_id"], row["severity"], row["resolved_at"] is None) for row in rows["support"]) == [
        ("T1", "high", True),
        ("T2", "low", False),
    ]
    assert f"{max(row['occurred_at'] for row in rows['usage']):%Y-%m-%d %H:%M}" == "2026-09-29 09:00"


@pytest.mark.parametrize(
    ("names", "english"),
    [
        (("Raison sociale", "Firmenname", "Razón social"), "company_name"),
        (("Date d'échéance", "Fällig am", "Fecha de vencimiento"), "due_date"),
        (("N° facture", "Rechnungsnummer", "Número de factura"), "invoice_number"),
        (("Priorité", "Priorität", "prioridad"), "priority"),
        (("contrats", "Verträge", "contratos"), "subscriptions"),
    ],
)
def test_usual_headers_in_other_languages(names: tuple[str, ...], english: str) -> None:
    assert [plain_name(name) for name in names] == [english] * len(names)
