"""Which generated pages there are, and how they reach the disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from docs.generator import (
    command_line,
    contract,
    http_api,
    mapping,
    packs,
    python_api,
    rubrics,
    rules,
    settings,
    specification,
    spreadsheet,
)
from features.catalogue.catalogue import CATALOGUE
from features.catalogue.data_dictionary import markdown

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "docs" / "reference" / "generated"

PAGES: Mapping[str, Callable[[], str]] = {
    "cli.md": command_line.command_line_page,
    "http.md": http_api.http_page,
    "python.md": python_api.python_page,
    "contract.md": contract.contract_page,
    "spreadsheet.md": spreadsheet.spreadsheet_page,
    "features.md": lambda: markdown(CATALOGUE),
    "settings.md": settings.settings_page,
    "kpis.md": specification.kpi_page,
    "rules.md": rules.rules_page,
    "rubrics.md": rubrics.rubrics_page,
    "point-in-time.md": specification.point_in_time_page,
    "rule-examples.md": specification.rule_examples_page,
    "mapping.md": mapping.mapping_page,
    "packs.md": packs.packs_page,
    **packs.pack_pages(),
}
"""Every generated page by its file name."""


def write_pages(folder: Path = GENERATED) -> list[str]:
    """Write the pages, and remove what no generator writes.

    Returns
    -------
    list of str
        The names of the files that changed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    for path in folder.glob("*.md"):
        if path.name not in PAGES:
            path.unlink()
            changed.append(path.name)
    for name, generate in PAGES.items():
        path, text = folder / name, generate()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(name)
    return sorted(changed)
