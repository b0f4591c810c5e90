"""The site's copies of CONTRIBUTING, CHANGELOG and SECURITY, whose links work from where the copies are.

The copies are made for a build of the site and are not committed.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "docs" / "project"
SOURCES = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|mailto:|#)([^)\s]+)\)")


def write_project_pages(folder: Path = PROJECT, root: Path = ROOT) -> list[str]:
    """Copy the files of the top folder that exist.

    Returns
    -------
    list of str
        The names of the pages.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for name in SOURCES:
        if (root / name).exists():
            text = relink((root / name).read_text(encoding="utf-8"))
            (folder / name.lower()).write_text(text, encoding="utf-8")
            lines.append(name.lower())
    return lines


def relink(text: str) -> str:
    """Links as the site needs them: into docs and to each other they stay links, to other files they become text."""

    def link(match: re.Match[str]) -> str:
        label, target = match.groups()
        file, hash_mark, fragment = target.removeprefix("./").partition("#")
        if file.startswith("docs/") and file.endswith(".md"):
            return f"[{label}](../{file.removeprefix('docs/')}{hash_mark}{fragment})"
        if file in SOURCES:
            return f"[{label}]({file.lower()}{hash_mark}{fragment})"
        return label

    return _LINK.sub(link, text)
