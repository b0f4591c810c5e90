"""Account reports as self-contained HTML files: no scripts, no external requests, everything escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from markupsafe import Markup

from features.utils.atomic_files import write_file
from serving.account_reports.charts import section_chart
from serving.html.assets import style_sheet
from serving.html.templates import render_template

TITLES = {"qbr": "Business review", "save": "Save plan", "success": "Success plan"}


def report_page(report: Mapping[str, Any]) -> str:
    """Render the page of an edition of a business review (`serving.account_reports.business_review`) or an account
    plan (`serving.account_reports.success_plan`)."""
    sheet = Markup(style_sheet())
    title = f"{report_title(report)}: {report['name'] or report['account_id']}"
    return render_template(
        "report_file.html",
        title=title,
        sheet=sheet,
        report=report,
        kind=report_heading(report),
        charts=section_charts(report),
    )


def section_charts(report: Mapping[str, Any]) -> dict[str, Markup]:
    """Draw the charts of a report, by section."""
    return {s["section"]: section_chart(s["picture"]) for s in report["sections"] if s["picture"] is not None}


def report_title(report: Mapping[str, Any]) -> str:
    """Return the title of a report."""
    return TITLES["qbr" if report["document"] == "qbr" else report["kind"]]


def quarter_words(quarter: str) -> str:
    """Return a quarter as customers write it.

    Examples
    --------
    >>> quarter_words("2026Q3")
    'Q3 2026'
    """
    year, _, number = quarter.partition("Q")
    return f"Q{number} {year}"


def report_heading(report: Mapping[str, Any]) -> str:
    """Return the title of a report with its quarter, if it is about one."""
    title = report_title(report)
    return f"{title}, {quarter_words(report['quarter'])}" if report["document"] == "qbr" else title


def report_file_name(report: Mapping[str, Any]) -> str:
    """Return the name of a report's file without its suffix: the document, the quarter or date, and the edition."""
    if report["document"] == "qbr":
        return f"business-review-{report['quarter']}-{report['edition']}"
    return f"{report['kind']}-plan-{report['as_of'][:10]}-{report['edition']}"


def write_report(report: Mapping[str, Any], files: Mapping[str, bytes], folder: Path, name: str) -> list[Path]:
    """Write the files of a report, and the report as JSON.

    The file names contain the account id, as far as file names allow.

    Parameters
    ----------
    report : the report.
    files : the contents by ending, such as ``html``.
    folder : the folder, which is created if it does not exist.
    name : the end of the file names.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    HomeError : the folder cannot be written.
    """
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", report["account_id"]).strip("-")[:60]
    # Ids with the same file-safe form do not overwrite each other.
    suffix_hash = "" if safe == report["account_id"] else "-" + sha256(report["account_id"].encode()).hexdigest()[:8]
    text = json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    paths = []
    for ending, content in {**files, "json": text.encode()}.items():
        paths.append(folder / f"{safe}{suffix_hash}-{name}.{ending}")
        write_file(paths[-1], content)
    return paths
