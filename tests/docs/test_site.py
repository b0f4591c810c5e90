"""The documentation site builds without network, has no broken links, and loads nothing from other hosts."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docs.generator.project import SOURCES, write_project_pages

ROOT = Path(__file__).resolve().parents[2]
LOADED = re.compile(r"""(?:<(?:script|img|iframe|source)\b[^>]*?\bsrc|<link\b(?![^>]*\brel=["']?canonical)[^>]*?\bhref)=["']?(?:https?:)?//[^\s"'>]*""")


def _pages_of(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            if isinstance(value, list):
                yield from _pages_of(value)
            else:
                yield value


def test_every_page_is_in_the_navigation() -> None:
    listed = list(_pages_of(tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]))
    docs, copies = ROOT / "docs", {f"project/{name.lower()}": name for name in SOURCES}
    pages = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")} - set(copies)
    pages |= {page for page, name in copies.items() if (ROOT / name).exists()}
    # Decision records are listed in their index only.
    decisions = {path for path in pages if re.match(r"adr/\d", path)}
    assert sorted(listed) == sorted(pages - decisions)
    if decisions:
        index = (docs / "adr" / "index.md").read_text(encoding="utf-8")
        assert {f"adr/{name}" for name in re.findall(r"\]\((\d[^)#]*\.md)", index)} == decisions


@pytest.mark.slow
def test_the_site_builds_and_loads_nothing_from_other_hosts(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    write_project_pages(tmp_path / "docs" / "project")
    result = _build(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    pages = {path.relative_to(tmp_path).as_posix(): path.read_text(encoding="utf-8") for path in (tmp_path / "site").rglob("*.html")}
    assert "site/reference/generated/cli/index.html" in pages
    assert [(name, results) for name, text in pages.items() for results in LOADED.findall(text)] == []
    # Mermaid diagrams would show as code, because their library comes from another host. Use SVG files.
    assert [path.name for path in (tmp_path / "docs").rglob("*.md") if "```mermaid" in path.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("link", ["nowhere.md", "other.md#nowhere"])
def test_a_broken_link_fails_the_build(tmp_path: Path, link: str) -> None:
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "other.md").write_text("# Other\n\n## Part\n")
    (tmp_path / "docs" / "index.md").write_text("# Home\n\n[a part](other.md#part)\n")
    assert _build(tmp_path).returncode == 0
    (tmp_path / "docs" / "index.md").write_text(f"# Home\n\n[a part]({link})\n")
    assert _build(tmp_path).returncode != 0


def _build(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "zensical"
    return subprocess.run([program, "build", "--strict", "--clean"], cwd=folder, capture_output=True, text=True, timeout=120)
