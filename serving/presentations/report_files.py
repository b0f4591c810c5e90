"""Files of account reports: an edition as one HTML file or as a presentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from serving.account_reports.html import report_page

ReportForm = Literal["html", "pptx"]


def report_file(report: Mapping[str, Any], form: ReportForm) -> bytes:
    """Return an edition of a report as a file.

    Parameters
    ----------
    report : the edition (`serving.account_reports.editions.edition_of`).
    form : html (one file, which prints well) or pptx (a presentation that can be edited).

    Returns
    -------
    bytes
    """
    if form == "html":
        return report_page(report).encode()
    # Imported here, since the library of presentations takes a while to load.
    from serving.presentations.account_report import report_deck

    return report_deck(report).content()
