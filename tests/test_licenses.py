"""Every library that Renewcast needs at run time has a license that allows its use under Apache-2.0."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "licenses.md"

PERMISSIVE = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0",
    "CNRI-Python", "ISC", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "Zlib", "ZPL-2.1",
}
WEAK_COPYLEFT = {"MPL-2.0": "certifi pathspec tqdm", "LGPL-3.0-only": "psycopg psycopg-binary"}
"""Licenses that put conditions on the library itself, not on what uses it, and the only packages that may have them."""

CLASSIFIERS = {
    "Apache Software License": "Apache-2.0", "BSD License": "BSD", "ISC License (ISCL)": "ISC", "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0", "Python Software Foundation License": "PSF-2.0",
}
TEXTS = {
    "3-Clause BSD License": "BSD-3-Clause", "Apache 2.0": "Apache-2.0", "Apache License, Version 2.0": "Apache-2.0",
    "BSD 3-Clause License": "BSD-3-Clause", "MIT License": "MIT", "MIT license": "MIT",
}
"""What the old free-text field says, where it is no SPDX expression."""

BY_HAND = {
    "huey": "MIT",  # its metadata say nothing; its LICENSE file is the MIT license
    "skops": "MIT",  # its metadata say only "OSI Approved"; its LICENSE file is the MIT license
    "tqdm": "MPL-2.0 AND MIT",  # as its old free-text field says
    "colorama": "BSD-3-Clause",  # only on Windows, as the next two
    "pywin32": "PSF-2.0",
    "waitress": "ZPL-2.1",
}
"""Read in the package itself, since its metadata do not say it, or since it is not installed on Linux."""


def _locked(name: str) -> set[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return {re.split(r"[=\[ ]", line)[0] for line in text.splitlines() if re.match(r"[a-z0-9]", line)}


def _extras() -> set[str]:
    """The libraries of the optional features, and what they need in turn."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [Requirement(entry) for group in project["optional-dependencies"].values() for entry in group]
    names: set[str] = set()
    while wanted:
        entry = wanted.pop()
        if entry.name in names:
            continue
        names.add(entry.name)
        needs = [Requirement(text) for text in importlib.metadata.requires(entry.name) or []]
        environments = [{"extra": extra} for extra in entry.extras or {""}]
        wanted += [need for need in needs if not need.marker or any(map(need.marker.evaluate, environments))]
    return names


NEEDED = sorted(_locked("requirements.txt") | _locked("requirements-serving.txt") | _extras())


def _stated(name: str) -> str | None:
    """The license that the installed package states, as an SPDX expression; None where it states none."""
    metadata = importlib.metadata.metadata(name)
    text = (metadata.get("License") or "").strip()
    classifiers = [entry.split(" :: ")[-1] for entry in metadata.get_all("Classifier") or () if entry[:7] == "License"]
    licenses = [CLASSIFIERS[entry] for entry in classifiers if entry in CLASSIFIERS]
    if expression := metadata.get("License-Expression"):
        return str(expression)
    if text in TEXTS or text in PERMISSIVE | set(WEAK_COPYLEFT):
        return TEXTS.get(text, text)
    return licenses[0] if len(licenses) == 1 else None


def _license(name: str) -> str | None:
    return BY_HAND.get(name) or _stated(name)


def _allowed(name: str, expression: str) -> bool:
    """Whether one of the licenses offered, or all of those that hold together, are in the lists above."""
    return any(
        all(part in PERMISSIVE or name in WEAK_COPYLEFT.get(part, "").split() for part in offer.split(" AND "))
        for offer in expression.split(" OR ")
    )


@pytest.mark.parametrize("name", NEEDED)
def test_every_library_has_a_license_that_is_allowed(name: str) -> None:
    expression = _license(name)
    assert expression, f"{name} states no license; read it, and enter it in BY_HAND"
    assert _allowed(name, expression), f"{name}: {expression}"


def test_the_page_lists_every_library_with_its_license() -> None:
    table = PAGE.read_text(encoding="utf-8").split("| package | license |\n|---|---|\n")[1]
    assert table.splitlines() == [f"| {name} | {_license(name)} |" for name in NEEDED]


def test_no_entry_is_left_over() -> None:
    assert set(BY_HAND) <= set(NEEDED)
    assert {name for names in WEAK_COPYLEFT.values() for name in names.split()} <= set(NEEDED)


def test_a_license_that_is_not_listed_is_refused() -> None:
    assert not _allowed("numpy", "GPL-3.0-only")
    assert not _allowed("numpy", "MIT AND MPL-2.0")
    assert _allowed("numpy", "GPL-3.0-only OR MIT")


def test_the_project_says_its_own_license() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"])
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").split()[:4] == ["Apache", "License", "Version", "2.0,"]
