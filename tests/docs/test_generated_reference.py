"""The generated reference matches the code, and says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

import renewcast
from docs.generator import contract, python_api, toml_tables
from docs.generator.pages import GENERATED, PAGES, write_pages
from docs.generator.project import relink
from docs.generator.settings import parameter_texts
from features.packs.schema import PackFile

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", PAGES)
def test_the_page_matches_the_code(name: str) -> None:
    path = GENERATED / name
    # Not compared inside the assertion: its report would be two whole pages.
    same = path.exists() and path.read_text(encoding="utf-8") == PAGES[name]()
    assert same, f"{name} does not match the code; run `make docs-reference`"


def test_no_page_is_left_from_a_generator_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {path.name for path in GENERATED.iterdir()} == set(PAGES)
    (tmp_path / "old.md").write_text("# Old\n")
    monkeypatch.setattr("docs.generator.pages.PAGES", {"a.md": lambda: "# A\n"})
    assert write_pages(tmp_path) == ["a.md", "old.md"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.md"]
    assert write_pages(tmp_path) == []


def test_every_variable_of_the_code_is_on_the_page_of_settings() -> None:
    sources = [ROOT / "renewcast.py", *(p for package in ("features", "models", "serving", "training") for p in (ROOT / package).rglob("*.py"))]
    used = {name for path in sources for name in re.findall(r"RENEWCAST_[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8"))}
    documented = set(re.findall(r"`(RENEWCAST_[A-Z_]+)`", PAGES["settings.md"]()))
    assert used <= documented
    assert len(used) > 5


def test_every_key_of_a_pack_file_is_on_the_page_of_packs() -> None:
    table = PAGES["packs.md"]().split("### The file\n")[1].split("\n###")[0]
    assert set(re.findall(r"(?m)^\| `(\w+)`", table)) == set(PackFile.model_fields)


class _Described(BaseModel):
    """A class.

    Parameters
    ----------
    one : the first
        of two.
    two : the second.
    """

    one: int
    two: int


class _TwoInOneLine(BaseModel):
    """A class.

    Parameters
    ----------
    one, two : both.
    """

    one: int
    two: int


class _LeftOut(BaseModel):
    """A class.

    Parameters
    ----------
    one : the first.
    """

    one: int
    two: int


def test_a_docstring_describes_every_parameter() -> None:
    assert parameter_texts(_Described) == {"one": "the first of two.", "two": "the second."}
    with pytest.raises(ValueError, match="names no parameter: one, two"):
        parameter_texts(_TwoInOneLine)
    with pytest.raises(ValueError, match="says nothing about two"):
        parameter_texts(_LeftOut)


def test_every_command_and_option_is_on_the_page_of_commands() -> None:
    page = PAGES["cli.md"]()
    for heading in ("renewcast train", "renewcast keys create", "renewcast webhooks rotate-key"):
        section = page.split(f"`{heading}`\n")[1].split("\n#")[0]
        assert f"$ {heading}" in section
        assert f"(#{heading.replace(' ', '-')})" in page
    assert "`--data-through DATE`" in page.split("## `renewcast train`")[1]
    assert "..." not in page.split("**Commands**:")[1].split("## ")[0], "Typer cut a sentence"


def test_every_operation_is_on_the_page_of_the_api_with_its_scope() -> None:
    operations = {
        re.search(r"^`([A-Z]+ /\S*)`$", part, re.MULTILINE)[1]: re.search(r"^(Scope: .*|No key needed)\.$", part, re.MULTILINE)[1]
        for part in re.split(r"(?m)^### ", PAGES["http.md"]().split("\n## Problems")[0])[1:]
    }  # fmt: skip
    assert operations["POST /v1/predictions"] == "Scope: `predict`"
    assert operations["POST /v1/reviews/{review_id}/approval"] == "Scope: `admin`"
    assert operations["GET /livez"] == "No key needed"
    assert [path for path, scope in operations.items() if scope == "Scope: any key"] == ["GET /metrics"]


def test_a_column_without_a_description_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described = contract.MEANINGS.read_text(encoding="utf-8")
    fewer = tmp_path / "columns.toml"
    fewer.write_text(re.sub(r"(?m)^(seats|plan) = .*\n", "", described) + 'extra = "More."\n')
    monkeypatch.setattr(contract, "MEANINGS", fewer)
    with pytest.raises(ValueError, match=r"differ in: fx_rates\.extra, subscriptions\.plan, subscriptions\.seats"):
        contract.contract_page()


RULES = """\
# Things: what they are.
# kinds:
#   first   one
#           and more
version = "1"

# Days to wait,
# at least.
days = 3
other = ["a.b", "c"]

# How to.
[how]
to = "csm"

[[items]]
code = "x"
all = [{ feature = "f", at_least = 1 }]
any = [{ feature = "g", below = 0.5 }, { feature = "h", percentile_below = 20 }]

# The second.
[[items]]
code = "y"
any = [{ feature = "i", at_most = 2 }]
"""


def test_a_file_of_rules_keeps_its_comments() -> None:
    assert toml_tables.introduction(RULES, "Things") == "What they are.\nkinds:\n\n- `first`: one\n  and more"
    assert toml_tables.comments(RULES) == {("", "days"): "Days to wait, at least.", ("how", ""): "How to.", ("items.1", ""): "The second."}
    assert "\n\n".join(toml_tables.sections(RULES)) == (
        "| key | value | note |\n| --- | --- | --- |\n"
        "| `days` | 3 | Days to wait, at least. |\n| `other` | `a.b`, `c` |  |\n\n\n"
        "### `how`\n\nHow to.\n\n| key | value |\n| --- | --- |\n| `to` | `csm` |\n\n\n"
        "### `items`\n\n| code | condition | note |\n| --- | --- | --- |\n"
        "| `x` | `f` ≥ 1 and (`g` < 0.5 or `h` percentile < 20) |  |\n| `y` | `i` ≤ 2 | The second. |\n"
    )  # fmt: skip


class Scores:
    """Scores of accounts.

    Attributes
    ----------
    count : int
        How many.
    """

    @property
    def count(self) -> int:
        """How many."""
        return 0

    def of(self, account: str) -> float:
        """The score of one account.

        Raises
        ------
        KeyError
            If there is none.
        """
        raise KeyError(account)


def score(account: str, *, weeks: int = 4) -> float:
    """Score an account.

    Parameters
    ----------
    account : str
        The id, as in ``accounts``.
    weeks : int
        How many.

    Returns
    -------
    float
        From 0 to 1.

    Examples
    --------
    Once:

    >>> score("a")
    0.5
    """
    return 0.5


def test_the_python_api_is_what_the_package_exports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewcast, "__all__", ["Scores", "score"], raising=False)
    monkeypatch.setattr(renewcast, "Scores", Scores, raising=False)
    monkeypatch.setattr(renewcast, "score", score, raising=False)
    page = python_api.python_page()
    assert "\n## score\n\n```python\nrenewcast.score(account: str, *, weeks: int = 4) -> float\n```\n\nScore an account.\n" in page
    assert "**Parameters**\n\n- `account` (str): The id, as in `accounts`.\n- `weeks` (int): How many.\n" in page
    assert "**Returns**\n\n- `float`: From 0 to 1.\n" in page
    assert '**Examples**\n\nOnce:\n\n```python\n>>> score("a")\n0.5\n```\n' in page
    assert "| [`Scores`](#class-scores) | Scores of accounts. |" in page
    assert "class renewcast.Scores\n" in page
    assert "### Scores.of\n\n```python\nof(self, account: str) -> float\n```\n\nThe score of one account.\n\n**Raises**\n\n- `KeyError`: If there is none." in page
    assert "Scores.count" not in page, "it is listed with the attributes"


def test_links_of_the_project_pages_work_on_the_site() -> None:
    text = "[a](docs/glossary.md#gate) [b](CHANGELOG.md) [c](features/errors.py) [d](https://example.org/x) ![e](docs/e.png) [f](#here)"
    assert relink(text) == "[a](../glossary.md#gate) [b](changelog.md) c [d](https://example.org/x) ![e](docs/e.png) [f](#here)"
