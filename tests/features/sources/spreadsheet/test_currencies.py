"""The currency of a sheet's amounts: one for all of them, in the sheet, in a history, and in the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import SignalsError
from features.sources.open_source import open_source
from features.utils.formatting import CURRENCY_VARIABLE


def _file(folder: Path, text: str, name: str = "customers-2026-09-30.csv") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    "text",
    [
        "Account,ARR (EUR),MRR (USD)\nAcme,1200,100\n",
        "Account,ARR (€)\nAcme,$100\nBeta,200\n",
        "Account,ARR (€),Currency\nAcme,100,GBP\n",
        "Account,ARR\nAcme,$100\nBeta,200 EUR\n",
        "Account,ARR,Currency\nAcme,100,EUR\nBeta,200,USD\n",
    ],
)
def test_amounts_in_two_currencies_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SignalsError, match="amounts are in 2 currencies"):
        open_source(_file(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        "Account,ARR (CAD)\nAcme,$100\n",
        "Account,ARR,Currency\nAcme,$100,AUD\nBeta,$200,n/a\n",
        "Account,ARR (USD),MRR ($)\nAcme,US$1200,100\n",
        "Account,ARR,Currency\nAcme,100,kr\nBeta,200,SEK\n",
    ],
)
def test_a_sign_is_of_each_currency_that_has_it(tmp_path: Path, text: str) -> None:
    assert open_source(_file(tmp_path, text)).tables


def test_a_history_has_one_currency(tmp_path: Path) -> None:
    _file(tmp_path, "Account,ARR\nAcme,€100\n", "c-2026-08-31.csv")
    _file(tmp_path, "Account,ARR\nAcme,150\n", "c-2026-09-30.csv")
    assert open_source(tmp_path).tables
    _file(tmp_path, "Account,ARR (USD)\nAcme,150\n", "c-2026-10-31.csv")
    with pytest.raises(SignalsError, match=r"amounts are in 2 currencies\nExpected: one currency for all sheets"):
        open_source(tmp_path)


def test_amounts_are_in_the_base_currency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CURRENCY_VARIABLE, "eur")
    for header in ("ARR", "ARR (€)", "ARR (EUR)"):
        assert open_source(_file(tmp_path, f"Account,{header}\nAcme,100\n")).tables
    for header in ("ARR ($)", "ARR (GBP)"):
        with pytest.raises(SignalsError, match="amounts are not in EUR, which RENEWCAST_CURRENCY states"):
            open_source(_file(tmp_path, f"Account,{header}\nAcme,100\n"))
