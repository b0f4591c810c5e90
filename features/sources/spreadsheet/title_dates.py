"""The date of a sheet in the lines above its header, such as ``Report date: 31/10/2026``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime

from features.sources.spreadsheet.values import date_order, read_date
from features.sources.spreadsheet.vocabulary import folded
from features.sources.spreadsheet.workbook import Cell

_SAYS = re.compile(
    r"\b(?:report(?:ed|ing)?|export(?:ed)?|snapshot|extract(?:ed)?|as (?:of|at)|data (?:as|date)|generated|printed"
    r"|created|downloaded|updated|run|date"
    r"|stand|stichtag|datum|exportiert|erstellt|gedruckt|auszug|bericht|abgerufen|aktualisiert"
    r"|au|en date|date|exporte|genere|edite|imprime|situation|arrete|mis a jour"
    r"|fecha|exportado|generado|impreso|creado|actualizado|informe|al)\b"
)
"""Words of a line that names the date of the sheet, as `folded` returns them: English, German, French, Spanish."""
_SAYS_NOT = re.compile(
    r"\b(?:next|due|renewals?|start|since|from|until|deadline|period|fiscal"
    r"|naechste\w*|faellig\w*|verlaengerung\w*|vertragsende|beginn|seit|ab|bis|frist|zeitraum|geschaeftsjahr"
    r"|prochaine?|echeances?|renouvellements?|debut|depuis|jusqu|periode|exercice"
    r"|proxim[ao]|vencimientos?|renovacion\w*|inicio|desde|hasta|periodo|ejercicio)\b"
)
_DATES = re.compile(
    r"(?<![\d/.-])(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}([/.-])\d{1,2}\1(?:\d{4}|\d{2}))(?![\d/-])"
    r"|\b\d{1,2}(?:st|nd|rd|th|er|\.)?[ -](?:de )?[a-z]{3,10}\.?,?[ -](?:de )?\d{4}\b"
    r"|\b[a-z]{3,9}\.? \d{1,2}(?:st|nd|rd|th)?,? \d{4}\b",
    re.IGNORECASE,
)


def title_date(titles: Sequence[Sequence[Cell]], day_first: bool) -> datetime | None:
    """Return the date that the lines above a header give to the sheet; None if there is none, or there are several.

    Parameters
    ----------
    titles : the rows above the header.
    day_first : whether 3/4/2026 is in April, if the lines do not show it.

    Examples
    --------
    >>> title_date([["Customers"], ["Report date: 31/10/2026"]], day_first=False).date().isoformat()
    '2026-10-31'
    >>> title_date([["Stand: 15. Oktober 2026"]], day_first=False).date().isoformat()
    '2026-10-15'
    >>> title_date([["Renewals until 31/10/2026"]], day_first=False)
    """
    cells = [cell for row in titles for cell in _dated(row)]
    texts: list[Cell] = [cell for cell in cells if isinstance(cell, str)]
    order = date_order(texts)
    first = bool(order.day_first) if bool(order.day_first) != bool(order.month_first) else day_first
    days = {day.date() for cell in cells if (day := read_date(cell, first)) is not None}
    return datetime.combine(days.pop(), datetime.min.time()) if len(days) == 1 else None


def rows_with_dates(titles: Sequence[Sequence[Cell]]) -> list[int]:
    """Return the numbers, from 1, of the lines above a header that have a date of any meaning.

    Examples
    --------
    >>> rows_with_dates([["Customers"], ["Renewals until 31/10/2026"]])
    [2]
    """
    return [i for i, row in enumerate(titles, 1) if _dates_in(row)]


def _dated(row: Sequence[Cell]) -> list[Cell]:
    """Return the dates of a line that says that they are those of the sheet."""
    text = folded(" ".join(cell for cell in row if isinstance(cell, str)))
    return [] if not _SAYS.search(text) or _SAYS_NOT.search(text) else _dates_in(row)


def _dates_in(row: Sequence[Cell]) -> list[Cell]:
    text = folded(" ".join(cell for cell in row if isinstance(cell, str)))
    return [cell for cell in row if isinstance(cell, datetime | date)] + [found[0] for found in _DATES.finditer(text)]
