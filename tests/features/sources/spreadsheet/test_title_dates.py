"""A line above the header can have the date of the sheet."""

from __future__ import annotations

from datetime import datetime

import pytest

from features.sources.spreadsheet.title_dates import title_date
from features.sources.spreadsheet.workbook import Cell

END = datetime(2026, 10, 31)


@pytest.mark.parametrize(
    ("titles", "day"),
    [
        ([["Report date: 31/10/2026"]], END),
        ([["Customers"], ["Exported on Oct 31, 2026 by Dana"]], END),
        ([["As of", datetime(2026, 10, 31)]], END),
        ([["As of 2026-10-31"], ["Report date: 10/31/2026"]], END),
        ([["Report date: 3/4/2026"]], datetime(2026, 4, 3)),
        ([["Report date: 31/10/2026"], ["Generated 01/11/2026"]], None),
        ([["Renewals from 2026-10-31"], ["Next report date: 2026-12-31"], ["Q4 2026"]], None),
        ([["Stand: 31.10.2026"]], END),
        ([["Stichtag", datetime(2026, 10, 31)]], END),
        ([["Kundenliste, erstellt am 31. Oktober 2026"]], END),
        ([["Situation au 31/10/2026"]], END),
        ([["Exporté le 31 octobre 2026"]], END),
        ([["Fecha: 31/10/2026"]], END),
        ([["Informe al 31 de octubre de 2026"]], END),
        ([["Verlängerungen bis 31.10.2026"], ["Échéance au 31/10/2026"], ["Vencimientos hasta 31/10/2026"]], None),
        ([], None),
    ],
)
def test_the_date_in_a_title(titles: list[list[Cell]], day: datetime | None) -> None:
    assert title_date(titles, day_first=True) == day
