"""A spreadsheet as a source: what is read, what is left out, what is refused, and the features that follow."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.catalogue.catalogue import CATALOGUE
from features.errors import BadRequest, SignalsError
from features.signals.cutoff import cutoff_of
from features.signals.signals import read_signals
from features.snapshots.snapshot import snapshot
from features.sources.base import Source
from features.sources.open_source import open_source
from features.sources.spreadsheet import open_spreadsheet
from features.utils.dates import Grid
from tests.features.sources.spreadsheet.workbook_writer import write_workbook

AS_OF = datetime(2026, 9, 30, tzinfo=UTC)
SHEET = """\
Account,ARR,Renewal,Customer Since,Seats,Active Users,Last Login,NPS,Open tickets,Last QBR,CSM,Champion left
Northwind,"$120,000",12/15/2026,1/3/2021,100,85,9/28/2026,9,1,8/1/2026,Dana,No
Fabrikam,48k,11/01/2026,5/6/2022,50,12,7/1/2026,3,7,N/A,Dana,Yes
Contoso,"$9,500",8/15/2026,2/2/2024,10,-,9/1/2026,,0,-,Lee,no
"""


def _file(folder: Path, text: str, name: str = "customers-2026-09-30.csv") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def _count_reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    reads: list[Path] = []
    original = open_spreadsheet.read_sheets

    def counted(address: Any) -> Any:
        reads.append(address.path)
        return original(address)

    monkeypatch.setattr(open_spreadsheet, "read_sheets", counted)
    return reads


def test_a_sheet_is_read_once_for_its_date_and_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, path = _count_reads(monkeypatch), _file(tmp_path, SHEET)
    assert cutoff_of(path, None) == AS_OF
    assert len(open_source(path).tables["accounts"].to_pyarrow()) == 3
    assert len(reads) == 1
    # It is not kept after it was opened, and a changed file is read again.
    cutoff_of(path, None)
    _file(tmp_path, SHEET.replace("Contoso,", "Tailspin,") + "Litware,1k,,,,,,,,,,\n")
    assert len(open_source(path).tables["accounts"].to_pyarrow()) == 4
    assert len(reads) == 3


def test_a_large_sheet_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, path = _count_reads(monkeypatch), _file(tmp_path, SHEET)
    monkeypatch.setattr(open_spreadsheet, "MAX_REMEMBERED", 3 * 12 - 1)
    cutoff_of(path, None)
    open_source(path)
    assert len(reads) == 2


def _open(folder: Path, text: str, options: str = "") -> Source:
    return open_source(_file(folder, text) + options)


def _features(source: Source, at: datetime = AS_OF) -> pd.DataFrame:
    return snapshot(read_signals(source, at), Grid.single(at)).set_index("account_id")


def test_values_of_today_become_the_features_of_the_same_meaning(tmp_path: Path) -> None:
    rows = _features(_open(tmp_path, SHEET))
    north, fabrikam, contoso = (rows.loc[name] for name in ("Northwind", "Fabrikam", "Contoso"))
    assert north["contract.arr"] == 120_000
    assert fabrikam["contract.arr"] == 48_000
    assert north["contract.days_to_renewal"] == 76  # September 30 to December 15
    assert contoso["contract.days_to_renewal"] == -46
    assert [contoso["contract.renewal_overdue"], north["contract.renewal_overdue"]] == [1, 0]
    assert north["usage.days_since_last"] == 2
    assert north["usage.seats_used_share"] == 0.85
    assert fabrikam["outcomes.nps_last"] == 3
    assert fabrikam["support.open_tickets"] == 7
    assert fabrikam["relationship.champions_left_91d"] == 1
    assert north["engagement.days_since_meeting"] == 60
    assert contoso[["usage.seats_used_share", "outcomes.nps_last", "engagement.days_since_meeting"]].isna().all()


def test_nothing_else_is_known_about_the_accounts(tmp_path: Path) -> None:
    rows = _features(_open(tmp_path, SHEET))
    known = {name for name in CATALOGUE if rows[name].notna().any()}
    stated = {"usage.active_users_28d", "usage.days_since_last", "usage.seats_used_share", "engagement.days_since_meeting",
              "support.open_tickets", "outcomes.nps_last", "outcomes.nps_age_days", "relationship.champions_left_91d"}  # fmt: skip
    contract = {"arr", "tenure_days", "days_since_start", "seats", "arr_per_seat", "days_to_renewal", "renewal_overdue", "products"}
    assert known == stated | {f"contract.{name}" for name in contract}
    assert set(_open(tmp_path, SHEET).tables) == {"accounts", "subscriptions"}


def test_a_sheet_is_not_known_before_its_date(tmp_path: Path) -> None:
    assert _features(_open(tmp_path, SHEET), datetime(2026, 9, 29, tzinfo=UTC)).empty
    later = _features(_open(tmp_path, SHEET), datetime(2026, 10, 7, tzinfo=UTC))
    assert later.loc["Northwind", ["usage.days_since_last", "contract.days_to_renewal"]].tolist() == [9, 69]


def test_the_notes_say_how_columns_are_read_and_what_is_left_out(tmp_path: Path) -> None:
    text = f"Export of the CS team,,\n,,\n{SHEET.replace('CSM', 'Mood')}Total,\"$177,500\",,,160\n"
    notes = "\n".join(_open(tmp_path, text).notes)
    assert "as of 2026-09-30, the date in the file's name" in notes
    assert "'Renewal' = the end of the contracted term (month first, shown by its values)" in notes
    assert "'Customer Since' = when the account became a customer (month first, as in the other columns)" in notes
    assert "not recognized: 'Mood'" in notes
    assert "the header is in row 3; 2 rows above it were left out" in notes
    assert "1 row with totals was left out" in notes
    assert "the answers count as recent" in notes
    assert "two more, a quarter apart" in notes


def test_a_workbook_reads_as_the_same_sheet_does(tmp_path: Path) -> None:
    cells: list[list[Any]] = [
        ["Account", "ARR", "Renewal", "Customer Since", "Seats", "Active Users", "Last Login", "NPS", "Open tickets", "Last QBR", "CSM", "Champion left"],
        ["Northwind", 120000, date(2026, 12, 15), date(2021, 1, 3), 100, 85, date(2026, 9, 28), 9, 1, date(2026, 8, 1), "Dana", False],
        ["Fabrikam", 48000, date(2026, 11, 1), date(2022, 5, 6), 50, 12, date(2026, 7, 1), 3, 7, None, "Dana", True],
        ["Contoso", 9500, date(2026, 8, 15), date(2024, 2, 2), 10, None, date(2026, 9, 1), None, 0, None, "Lee", "no"],
    ]
    intro: list[list[Any]] = [["About this file"], ["Ask the CS team"]]
    write_workbook(tmp_path / "customers-2026-09-30.xlsx", {"Read me": intro, "Accounts": cells})
    expected = _features(_open(tmp_path, SHEET))
    for suffix in ("", "?sheet=accounts", "#Accounts"):
        pd.testing.assert_frame_equal(_features(open_source(f"{tmp_path}/customers-2026-09-30.xlsx{suffix}")), expected)
    with pytest.raises(SignalsError, match="no sheet of the name"):
        open_source(f"{tmp_path}/customers-2026-09-30.xlsx?sheet=Secret")


def test_merged_cells_belong_to_every_row_of_their_range(tmp_path: Path) -> None:
    cells: list[list[Any]] = [["Account", "Product", "ARR", "Renewal"], ["Acme", "A", 100, date(2027, 1, 1)], [None, "B", 50, date(2026, 12, 1)]]
    source = open_source(str(write_workbook(tmp_path / "c-2026-09-30.xlsx", {"S": cells}, ["A2:A3"])))
    rows = _features(source)
    assert rows["contract.arr"].tolist() == [150]
    assert rows["contract.days_to_renewal"].tolist() == [62]
    assert rows["contract.products"].tolist() == [2]
    with pytest.raises(SignalsError, match=r"1 row has values but no account \(row 3\)"):
        _open(tmp_path, "Account,Product,ARR\nAcme,A,100\n,B,50\nBeta,A,1\n")


def test_rows_of_one_account_are_contracts_repeats_or_a_mistake(tmp_path: Path) -> None:
    several = _open(tmp_path, "Account,ARR,Renewal,NPS\nAcme,100,2027-01-01,9\nAcme,50,2026-12-01,9\nBeta,1,2027-01-01,\nBeta,1,2027-01-01,\n")
    assert _features(several)["contract.arr"].to_dict() == {"Acme": 150, "Beta": 1}
    assert {"1 account has several rows, read as several contracts", "1 row repeat another row and count once"} & set(several.notes)
    with pytest.raises(SignalsError, match=r"rows 2, 3 are of one account and differ in 'NPS'") as error:
        _open(tmp_path, "Account,ARR,NPS\nAcme,100,9\nAcme,50,3\n")
    assert "Acme" not in str(error.value)


def test_former_and_possible_customers_are_left_out(tmp_path: Path) -> None:
    source = _open(tmp_path, "Account,ARR,Status,Churn date\nA,1,Active,\nB,2,Churned,\nC,3,Prospect,\nD,4,Active,2026-06-01\nE,5,Active,2027-01-01\n")
    assert sorted(_features(source).index) == ["A", "E"]
    assert "2 rows of former customers are left out" in source.notes
    assert "1 row of accounts that are not customers yet is left out" in source.notes


def test_a_status_with_a_later_date_is_that_of_a_customer_that_gave_notice(tmp_path: Path) -> None:
    source = _open(tmp_path, "Account,ARR,Status\nA,1,Active\nB,2,Churned (Q3)\nC,3,Terminated 2026-03\nD,4,Cancelled - 12/2026\nE,5,Banana\n")
    assert _features(source)["contract.notice_given"].fillna(0).to_dict() == {"A": 0, "D": 1, "E": 0}
    assert "2 rows of former customers are left out" in source.notes
    assert "'Status': 1 status not understood, kept as customers (row 6)" in source.notes


def test_a_champion_who_left_is_none(tmp_path: Path) -> None:
    rows = _features(_open(tmp_path, "Account,ARR,Champion\nA,1,Left\nB,2,Vacant\nC,3,TBC\nD,4,Pat Kim\n"))
    assert rows["relationship.champions"].fillna(-1).tolist() == [0, 0, -1, 1]
    assert rows["relationship.champions_left_91d"].fillna(-1).tolist() == [1, -1, -1, 0]


def test_amounts_keep_their_scale_and_period(tmp_path: Path) -> None:
    source = _open(tmp_path, 'Account,ARR,CSM\nA,"$10,000",x\nB,"20,5k",x\nC,"$1,666.67/mo",x\nD,"$9,000/yr",x\n')
    assert _features(source)["contract.arr"].tolist() == pytest.approx([10_000, 20_500, 20_000.04, 9_000])
    notes = "\n".join(source.notes)
    assert "'ARR': 1 has a decimal comma, 1 has a decimal point and 2 have a comma between thousands; each is read by itself" in notes
    assert "'ARR': 1 is per month, and times 12 a year" in notes
    yearly = _features(_open(tmp_path, "Account,MRR\nA,$1200/yr\nB,$5\n"))
    assert yearly["contract.arr"].tolist() == [1200, 60]


def test_a_last_row_with_the_sum_is_no_account(tmp_path: Path) -> None:
    rows = 'Account,ARR,Renewal\nA,"$10,000",2027-01-01\nB,"$20,000",2027-01-01\n'
    for last in ('2 accounts,"$30,000",', '2 customers,"$99",', 'Everything,"$30,000",'):
        assert sorted(_features(_open(tmp_path, f"{rows}{last}\n")).index) == ["A", "B"]
    for last in ('C,"$30,000",2027-01-01', 'C,"$30,001",', "C,,"):
        assert sorted(_features(_open(tmp_path, f"{rows}{last}\n")).index) == ["A", "B", "C"]


def test_an_unknown_amount_is_not_zero(tmp_path: Path) -> None:
    rows = _features(_open(tmp_path, "Account,ARR,Renewal,Seats\nA,tbd,2026-10-10,5\nB,7,2026-10-10,5\n"))
    assert rows["contract.arr"].fillna(-1).to_dict() == {"A": -1, "B": 7}
    assert rows["contract.days_to_renewal"].tolist() == [10, 10]


def test_monthly_amounts_thousands_and_percentages(tmp_path: Path) -> None:
    text = "Customer;MRR (k);Seat utilization;Usage change;Renewal\nA;1,5;85%;-40%;01.10.2026\nB;2;7%;+5%;24.12.2026\n"
    rows = _features(_open(tmp_path, text))
    assert rows["contract.arr"].tolist() == [18_000, 24_000]
    assert rows["usage.seats_used_share"].tolist() == pytest.approx([0.85, 0.07])
    assert rows["usage.events_trend_28d"].tolist() == pytest.approx([0.6, 1.05])
    assert rows["contract.days_to_renewal"].tolist() == [1, 85]


@pytest.mark.parametrize("header", ["ARR ($k)", "ARR in thousands", "ARR (000s)"])
def test_an_amount_that_states_its_own_unit_is_not_multiplied_again(tmp_path: Path, header: str) -> None:
    source = _open(tmp_path, f"Account,{header},Renewal\nA,5k,2026-10-10\nB,5,2026-10-10\nC,$1.2M,2026-10-10\nD,0.5k,2026-10-10\n")
    assert _features(source)["contract.arr"].to_dict() == {"A": 5_000, "B": 5_000, "C": 1_200_000, "D": 500}
    assert "3 state their own unit, such as k, which counts alone" in "\n".join(source.notes)


def test_the_color_of_the_health_column_is_the_judgment_of_the_csm(tmp_path: Path) -> None:
    text = "Account,ARR,Renewal,CSM,Health\nA,1,2026-10-10,Dana,Green\nB,2,2026-10-10,,amber\nC,3,2026-10-10,Lee,RED\nD,4,2026-10-10,Lee,\nE,5,2026-10-10,Lee,78\n"
    source = _open(tmp_path, text)
    rows = _features(source)
    assert rows["pulse.sentiment"].fillna(99).to_dict() == {"A": 1, "B": 0, "C": -1, "D": 99, "E": 99}
    assert rows.loc[["A", "B", "C"], "pulse.age_days"].tolist() == pytest.approx([0, 0, 0], abs=1e-4)
    pulse = source.tables["pulse"].execute().sort_values("account_id")
    assert pulse[["account_id", "sentiment"]].values.tolist() == [["A", 1], ["B", 0], ["C", -1]]
    assert [by if isinstance(by, str) else None for by in pulse.by] == ["Dana", None, "Lee"]


@pytest.mark.parametrize(
    ("header", "cells", "sentiments"),
    [
        ("Health", ("high", "medium", "low"), [1, 0, -1]),
        ("Churn risk", ("high", "medium", "low"), [-1, 0, 1]),
        ("At risk", ("yes", "no", "at risk"), [-1, 1, -1]),
        ("CSM sentiment", ("positive", "neutral", "negative"), [1, 0, -1]),
    ],
)
def test_high_health_is_good_and_high_risk_is_not(tmp_path: Path, header: str, cells: tuple[str, ...], sentiments: list[int]) -> None:
    lines = [f"{name},{i},2026-10-10,{cell}" for i, (name, cell) in enumerate(zip("ABC", cells, strict=True), 1)]
    rows = _features(_open(tmp_path, "\n".join([f"Account,ARR,Renewal,{header}", *lines])))
    assert rows["pulse.sentiment"].tolist() == sentiments


def test_a_column_with_other_values_than_its_name_says_is_not_used(tmp_path: Path) -> None:
    source = _open(tmp_path, "Account,ARR,NPS,Health,Last login\nA,1,-40,Green,yes\nB,2,60,Red,no\n")
    rows = _features(source)
    assert rows[["outcomes.nps_last", "usage.days_since_last"]].isna().all(axis=None)
    notes = "\n".join(source.notes)
    assert "'NPS' (2 of its 2 values are not 0 to 10)" in notes
    assert "'Last login' (most of its values cannot be read as the last use of the product)" in notes


def test_a_value_out_of_range_is_unknown_and_does_not_change_the_others(tmp_path: Path) -> None:
    source = _open(tmp_path, "Account,ARR,NPS,Open tickets\nA,1,9,3\nB,2,11,0\nC,3,2,-1\n")
    rows = _features(source)
    assert rows["outcomes.nps_last"].fillna(-9).tolist() == [9, -9, 2]
    assert rows["support.open_tickets"].fillna(-9).tolist() == [3, 0, -9]
    assert "'NPS': 1 value is not 0 to 10 and is unknown (row 3)" in source.notes
    assert "'Open tickets': 1 value is not 0 or more and is unknown (row 4)" in source.notes


@pytest.mark.parametrize("header", ["Last login", "Last meeting", "Last QBR", "Last contact", "NPS date"])
def test_a_past_event_after_the_date_of_the_sheet_is_unknown(tmp_path: Path, header: str) -> None:
    source = _open(tmp_path, f"Account,ARR,NPS,{header}\nA,1,9,2026-09-01\nB,2,9,2027-09-01\nC,3,9,2026-09-30\n")
    assert f"{header!r}: 1 value is after the date of the sheet and is unknown (row 3)" in source.notes
    assert (_features(source).select_dtypes("number").fillna(0) >= 0).all(axis=None)


def test_a_contract_cancelled_to_a_later_date_has_notice(tmp_path: Path) -> None:
    text = "Kunde;Jahresumsatz;Gekündigt zum;Status\nA;1;31.12.2026;aktiv\nB;2;;gekündigt\nC;3;31.08.2026;aktiv\nD;4;;aktiv\n"
    source = _open(tmp_path, text)
    assert _features(source)["contract.notice_given"].fillna(0).to_dict() == {"A": 1, "B": 1, "D": 0}


def test_one_id_with_two_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SignalsError, match="rows 2, 4 are of one account and differ in 'Company'"):
        _open(tmp_path, "Customer ID,Company,ARR\n7,A GmbH,1\n8,B GmbH,2\n7,C GmbH,3\n")
    assert len(_features(_open(tmp_path, "Customer ID,Company,ARR\n7,A GmbH,1\n8,B GmbH,2\n7,a-gmbh,3\n"))) == 2


@pytest.mark.parametrize("label", ["Zwischensumme", "Subtotal", "Sub-Total", "Teilsumme", "Übertrag", "Sous-total", "Suma parcial"])
def test_totals_between_accounts_are_left_out(tmp_path: Path, label: str) -> None:
    text = f"Account,ARR,Renewal\nA,1000,2026-12-01\nB,2000,2026-12-02\n{label},3000,\nC,4000,2026-12-03\n{label},7000,\n"
    assert _features(_open(tmp_path, text))["contract.arr"].to_dict() == {"A": 1000, "B": 2000, "C": 4000}


def test_a_row_with_only_the_sum_of_those_above_is_no_account(tmp_path: Path) -> None:
    # Under a name of its own, the sum is left out only where it lacks what every account above it has.
    text = "Account,ARR,Renewal\nA,1000,2026-12-01\nB,2000,2026-12-02\nNorth,3000,\nC,4000,2026-12-03\nD,7000,2026-12-04\nE,1,2026-12-05\n"
    assert sorted(_features(_open(tmp_path, text)).index) == ["A", "B", "C", "D", "E"]
    alone = "Account,ARR\nA,1000\nB,1000\nC,1000\nD,3000\nE,50\n"
    assert sorted(_features(_open(tmp_path, alone)).index) == ["A", "B", "C", "D", "E"]


@pytest.mark.parametrize(
    ("cells", "shares"),
    [
        (("45%", "80%", "2%"), [0.45, 0.8, 0.02]),
        (("0.45", "0.80", "1"), [0.45, 0.8, 1.0]),
        (("45", "80", "100"), [0.45, 0.8, 1.0]),
        (("85%", "0.85", "1"), [0.85, 0.85, 1.0]),
        (("85%", "85", "0.85"), [0.85, 0.85, None]),
        (("45", "80", "0"), [0.45, 0.8, 0.0]),
    ],
)
def test_percentages_however_they_are_written(tmp_path: Path, cells: tuple[str, ...], shares: list[float | None]) -> None:
    lines = "".join(f"{name},1,{cell}\n" for name, cell in zip("ABC", cells, strict=True))
    given = _features(_open(tmp_path, f"Account,ARR,Usage %\n{lines}"))["usage.seats_used_share"]
    assert [None if pd.isna(v) else pytest.approx(v) for v in given] == shares


def test_a_column_may_be_named_after_a_feature(tmp_path: Path) -> None:
    rows = _features(_open(tmp_path, "Account,ARR,engagement.meetings_kept_91d\nA,1,4\nB,2,\n"))
    assert rows["engagement.meetings_kept_91d"].fillna(-1).tolist() == [4, -1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "no header row that is recognized"),
        ("ARR,Renewal\n1,2026-01-01\n", "no header row that is recognized"),
        ("Account,ARR\n", "has a header but no account"),
        ("Account,ARR\nA,$1\nB,€2\n", "amounts are in 2 currencies"),
        ("Account,ARR,Currency\nA,1,USD\nB,2,EUR\n", "amounts are in 2 currencies"),
        ("Account,ARR\nA,-5\n", r"'ARR' is negative in row 2"),
        ("Account,Renewal,ARR\nA,30/9/2026,1\nB,9/30/2026,1\n", "day first in row 2 and month first in row 3"),
        ("Account ID,Account,ARR\n1,A,1\n,B,1\n", "'Account ID' is empty in row 3"),
    ],
)  # fmt: skip
def test_one_message_for_what_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SignalsError, match=message) as error:
        _open(tmp_path, text)
    assert error.value.cure


def test_a_file_in_another_encoding_or_with_an_unknown_option_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes("Account,ARR\nMüller,1\n".encode("cp1252"))
    with pytest.raises(SignalsError, match="row 2 is not UTF-8"):
        open_source(str(path))
    path.write_bytes("Account\tARR\nMüller\t1\n".encode("utf-16"))
    assert _features(open_source(f"{path}?as_of=2026-09-30"))["contract.arr"].to_dict() == {"Müller": 1}
    with pytest.raises(SignalsError, match="an option that cannot be used: sheets"):
        open_source(f"{path}?sheets=1")
    broken = tmp_path / "c.xlsx"
    broken.write_bytes(b"not a workbook")
    with pytest.raises(SignalsError, match="cannot be read"):
        open_source(str(broken))


def test_the_order_of_ambiguous_dates_can_be_stated(tmp_path: Path) -> None:
    text = "Account,ARR,Renewal\nA,$1,3/4/2027\n"
    assumed = _open(tmp_path, text)
    assert "month first, an assumption; add ?dates=day-first" in "\n".join(assumed.notes)
    stated = _open(tmp_path, text, "?dates=day-first")
    days = [_features(source)["contract.days_to_renewal"].item() for source in (assumed, stated)]
    assert days == [(date(2027, 3, 4) - date(2026, 9, 30)).days, (date(2027, 4, 3) - date(2026, 9, 30)).days]


def test_the_date_of_a_sheet(tmp_path: Path) -> None:
    column = _file(tmp_path, "Account,ARR,As of\nA,1,2026-05-31\n", "customers-2026-06-30.csv")
    assert cutoff_of(column, None) == datetime(2026, 5, 31, tzinfo=UTC)
    bare = _file(tmp_path, "Account,ARR\nA,1\n", "customers.csv")
    os.utime(bare, (1_780_000_000, 1_780_000_000))  # 2026-05-28, 20:26:40 UTC
    assert cutoff_of(bare, None) == datetime(2026, 5, 28, tzinfo=UTC)
    titled = _file(tmp_path, "Report date: 31/10/2025,\nAccount,ARR\nA,1\n", "titled.csv")
    assert cutoff_of(titled, None) == datetime(2025, 10, 31, tzinfo=UTC)
    assert cutoff_of(f"{bare}?as_of=2026-04-01", None) == datetime(2026, 4, 1, tzinfo=UTC)
    assert cutoff_of(bare, "2026-06-01") == datetime(2026, 6, 1, tzinfo=UTC)
    with pytest.raises(BadRequest, match="shows the accounts at 2026-05-28, and not at 2026-05-01"):
        cutoff_of(bare, "2026-05-01")


@pytest.mark.parametrize("address", ["none.xlsx", "none.csv?as_of=2026-09-30", "none.xlsx#Accounts", "none", "none-*.csv"])
def test_a_missing_file_has_its_own_message(tmp_path: Path, address: str) -> None:
    with pytest.raises(SignalsError, match=r"no such file or folder: .*none"):
        cutoff_of(f"{tmp_path}/{address}", None)


def test_a_row_with_more_values_than_the_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SignalsError, match="row 3 has 3 values but the header has 2"):
        _open(tmp_path, "Account,ARR\nBeta,5\nAcme,1,200\n")
    with pytest.raises(SignalsError, match=r"row 2 has 3 values, .*row 6 has 3 values \(and 2 more rows\) but the"):
        _open(tmp_path, "Account,ARR\n" + "Acme,1,200\n" * 7)
    padded = _open(tmp_path, "Customers of us\nAccount,ARR,\nAcme,1,\nBeta,2,text\nGamma,3,,,\n")
    assert _features(padded)["contract.arr"].to_dict() == {"Acme": 1, "Beta": 2, "Gamma": 3}
    assert "1 column without a name has values, which are not used" in padded.notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('Account,ARR\nBeta,1\n"Acme,10\nGamma,5\n', "row 3 has an unclosed quotation mark"),
        ('Account,ARR\n"Acme,10\n"Gamma,5\n', "row 2 has text after a closing quotation mark"),
    ],
)
def test_quotation_marks_do_not_swallow_rows(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SignalsError, match=message):
        _open(tmp_path, text)
