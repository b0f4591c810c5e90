"""A document as one self-contained HTML page: no script, no outside request, everything escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from markupsafe import Markup

from features.utils.atomic_files import write_file
from serving.account_reports.charts import picture
from serving.html.assets import assets
from serving.html.templates import render

TITLES = {"qbr": "Business review", "save": "Save plan", "success": "Success plan"}


def page(told: Mapping[str, Any]) -> str:
    """The page of a business review (`serving.account_reports.business_review`) or an account plan
    (`serving.account_reports.success_plan`)."""
    sheet = Markup(assets()["pages.css"].content.decode())
    title = f"{title_of(told)}: {told['name'] or told['account_id']}"
    return render("pack_file.html", title=title, sheet=sheet, told=told, kind=title_of(told), drawn=pictures(told))


def pictures(told: Mapping[str, Any]) -> dict[str, Markup]:
    """The pictures of a document, by section."""
    return {s["section"]: picture(s["picture"]) for s in told["sections"] if s["picture"] is not None}


def title_of(told: Mapping[str, Any]) -> str:
    """What the document is called."""
    return TITLES["qbr" if told["document"] == "qbr" else told["kind"]]


def write_pack(told: Mapping[str, Any], html: str, folder: Path, name: str) -> list[Path]:
    """Write the page and the JSON into ``folder``, which is made if need be, and say where they are. The files bear the
    account's id as far as a file's name can.

    Raises
    ------
    HomeError : the place cannot be written.
    """
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", told["account_id"]).strip("-")[:60]
    # Two ids that look alike as names do not overwrite each other.
    mark = "" if safe == told["account_id"] else "-" + sha256(told["account_id"].encode()).hexdigest()[:8]
    paths = [folder / f"{safe}{mark}-{name}{suffix}" for suffix in (".html", ".json")]
    text = json.dumps(told, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    for path, content in zip(paths, (html, text), strict=True):
        write_file(path, content)
    return paths
