"""Files of reports: an account's as one HTML file or a presentation, and the leadership presentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from models.rules.intervention_effects import InterventionStatus
from serving.account_reports.html import report_page
from serving.snapshots.account_attributes import AccountSelection
from serving.snapshots.scored_snapshot import ScoredSnapshot

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


def leadership_file(
    scored: ScoredSnapshot, selection: AccountSelection, work: Mapping[str, InterventionStatus]
) -> bytes:
    """Return the leadership presentation of a published snapshot, as `renewcast report --pptx` writes it from signals.

    Parameters
    ----------
    scored, selection, work : as in `serving.presentations.leadership_figures.published_figures`.

    Raises
    ------
    UnknownSnapshot, HomeError : as in `serving.presentations.leadership_figures.published_figures`.
    """
    # Imported here, since the library of presentations takes a while to load.
    from serving.presentations.leadership import leadership_deck
    from serving.presentations.leadership_figures import published_figures

    return leadership_deck(published_figures(scored, selection, work)).content()


def leadership_file_name(scored: ScoredSnapshot) -> str:
    """Return the name of the leadership presentation without its suffix."""
    return f"leadership-{scored.as_of:%Y-%m-%d}"
