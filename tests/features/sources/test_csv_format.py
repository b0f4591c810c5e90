"""CSV is read as defined by RFC 4180, like Python's reader; invalid files are rejected with the row, without values."""

from __future__ import annotations

import csv
import gzip
import io
import random
from pathlib import Path
from typing import Any

import pytest

from features.errors import SignalsError
from features.signals.validation import check_source
from features.sources import csv_format
from features.sources.base import connect_duckdb
from features.sources.csv_format import count_rows, load_csv
from features.sources.open_source import open_source

PIECES = [
    '"',
    ",",
    ";",
    "\t",
    "|",
    "'",
    "#",
    "\n",
    "\r",
    "\r\n",
    "a",
    "B",
    "0",
    "é",
    "日",
    "\\",
    " ",
    "--",
    "NULL",
    "\u2028",
]


def well_formed(rng: random.Random) -> str:
    """Write a random CSV file of 1 to 50,000 rows; its header contains no other delimiter."""
    rows = rng.choice([1, 2, 3, 5, 10, 30, 100]) if rng.random() < 0.99 else rng.choice([5_000, 25_000, 50_000])
    columns = rng.randint(1, 7)
    # A header of one name has no delimiter, so the comma is used.
    delimiter = rng.choice(",;\t|") if columns > 1 else ","
    ends, quoting = (
        rng.choice([["\n"], ["\r\n"], ["\r"], ["\n", "\r\n"]]),
        rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    )
    late, blank = rng.random() < 0.3, rng.random() < 0.1
    text = io.StringIO(newline="")
    for place in range(rows + 1):
        if place == 0:
            row = [f"c{i}" for i in range(columns)]
        elif late and place < rows:
            row = [rng.choice(["x", "2025-01-01", ""]) for _ in range(columns)]
        else:
            row = ["".join(rng.choices(PIECES, k=rng.choice([0, 1, 2, 3, 8]))) for _ in range(columns)]
        line = io.StringIO(newline="")
        # Python quotes every CR and LF only if the line end is CRLF.
        csv.writer(line, delimiter=delimiter, lineterminator="\r\n", quoting=quoting).writerow(row)
        end = rng.choice(ends)
        text.write(line.getvalue()[:-2] + end + (end if blank and rng.random() < 0.3 else ""))
    whole = text.getvalue()
    return whole[: -len(end)] if rng.random() < 0.3 and whole.endswith(end) and not blank and row[-1] else whole


def _differences(files: int, seed: int, folder: Path) -> int:
    rng, connection, different = random.Random(seed), connect_duckdb(), 0
    for number in range(files):
        text = well_formed(rng)
        mark = b"\xef\xbb\xbf" if rng.random() < 0.2 else b""
        packed = rng.random() < 0.1
        file = folder / ("t.csv.gz" if packed else "t.csv")
        content = mark + text.encode()
        file.write_bytes(gzip.compress(content, 1) if packed else content)
        header = text.splitlines()[0]
        delimiter = max(",;\t|", key=header.count)
        expected = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row][1:]
        load_csv(connection, "t", (file,), folder)
        rows = [[value or "" for value in row] for row in connection.con.execute("SELECT * FROM t").fetchall()]
        if rows != expected:
            different += 1
            (folder / f"different_{number}.csv").write_bytes(content)
    connection.disconnect()
    return different


def test_random_files_are_read_like_pythons_reader(tmp_path: Path) -> None:
    assert _differences(150, 20, tmp_path) == 0


@pytest.mark.slow
def test_two_thousand_random_files_are_read_like_pythons_reader(tmp_path: Path) -> None:
    assert _differences(2_000, 21, tmp_path) == 0


ACCOUNTS = "account_id,created_at,name\na,2025-01-01,Ann\nb,2025-01-01,Bo\n"
SUBSCRIPTIONS = "account_id,started_at,arr,plan\na,2025-01-01,100,\nb,2025-01-01,200,pro\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "accounts.csv").write_text(ACCOUNTS)
    (tmp_path / "subscriptions.csv").write_text(SUBSCRIPTIONS)
    return tmp_path


def _rows(folder: Path, table: str) -> list[dict[str, Any]]:
    source = open_source(folder)
    report = check_source(source)
    assert report.ok, report.errors
    rows: list[dict[str, Any]] = source.tables[table].to_pyarrow().to_pylist()
    return rows


@pytest.mark.parametrize("name", ["'t Hart", "Partners'", "#1", "a\nb", '5" pipe', "x\\", "--"])
def test_special_values_do_not_affect_other_rows(name: str, folder: Path) -> None:
    text = io.StringIO(newline="")
    rows = [
        ["account_id", "created_at", "name"],
        ["1", "2025-01-01", name],
        ["#2", "2025-01-01", "Bo'"],
        ["3", "2025-01-01", "C"],
    ]
    csv.writer(text, lineterminator="\n").writerows(rows)
    (folder / "accounts.csv").write_text(text.getvalue())
    (folder / "subscriptions.csv").write_text(SUBSCRIPTIONS.replace("\na,", "\n#2,").replace("\nb,", "\n3,"))
    assert [[r["account_id"], r["name"]] for r in _rows(folder, "accounts")] == [["1", name], ["#2", "Bo'"], ["3", "C"]]


def test_a_quote_after_thirty_thousand_rows(folder: Path) -> None:
    usage = [
        "account_id,occurred_at,user_id",
        *(f"a,2026-06-01,u{i}" for i in range(30_000)),
        'a,2026-06-02,"last, first"',
    ]
    (folder / "usage.csv").write_text("\n".join(usage))
    users = _rows(folder, "usage")
    assert (len(users), users[-1]["user_id"]) == (30_001, "last, first")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".csv.gz"])
def test_the_delimiter_comes_from_the_header(delimiter: str, ending: str, folder: Path) -> None:
    (folder / "accounts.csv").unlink()
    text = (
        "ACCOUNT_ID,Created_At,name\na,2025-01-01,x\nb,2025-01-01,y\n".replace(",", delimiter)
        .replace("x", '",;|"')
        .encode()
    )
    (folder / f"Accounts{ending}").write_bytes(gzip.compress(text) if ending.endswith("gz") else b"\xef\xbb\xbf" + text)
    assert [row["name"] for row in _rows(folder, "accounts")] == [",;|", "y"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "accounts.csv: the file is empty"),
        (b"\xef\xbb\xbf\r\n", "accounts.csv: the file is empty"),
        (
            "account_id,created_at\nok,2025-01-01\nSECRET\xfc,2025-01-01\n".encode("latin-1"),
            r"row 2 is not UTF-8; .*Latin-1",
        ),
        ("account_id,created_at,SECRET\xfc\n".encode("latin-1"), "the header is not UTF-8"),
        ("account_id,created_at\nSECRET,2025-01-01\n".encode("utf-16"), "UTF-16"),
        ("account_id,created_at\nSECRET,2025-01-01\n".encode("utf-16-le"), "UTF-16"),
        (
            b"account_id,created_at\na,2025-01-01\n\nSECRET,2025-01-01,extra\nb\n",
            "row 2 has 3 values, row 3 has 1 value but the header has 2",
        ),
        (b'account_id,created_at\na,2025-01-01\n"SECRET,2025-01-01\nb,2025-01-01\n', "row 2 has an unclosed quotation mark"),
        (b'account_id,name\na,x\nb,"SECRET\nc,y\n', "row 2 has an unclosed quotation mark"),
        (b'account_id,name\na,"SECRET\nb,x\nc,"y\nd,z\n', "row 1 has text after a closing quotation mark"),
        (b"account_id,created_at,SEC\0RET\na,2025-01-01,x\n", "the name of column 3 contains a null character"),
        (b"PK\3\4SECRET", "is an Excel workbook"),
        (b"\x1f\x8b\x08\0SECRET", "is compressed more than its name says"),
        (
            b'account_id,name\na,"' + b"x" * 200_000 + b'"\nb,SEC"RET\n',
            "row 2 has a quotation mark in an unquoted value",
        ),
        (
            b'account_id,created_at\na,2025-01-01\nSEC"RET,2025-01-01\nb,2025-01-01\n',
            "row 2 has a quotation mark in an unquoted value",
        ),
        (
            b"account_id,created_at,Account_ID\nSECRET,2025-01-01,x\n",
            "the header has the column account_id more than once: account_id, Account_ID",
        ),
    ],
)
def test_invalid_csv_is_reported_by_file_and_row_without_values(content: bytes, message: str, folder: Path) -> None:
    (folder / "accounts.csv").write_bytes(content)
    with pytest.raises(SignalsError, match=message) as caught:
        open_source(folder)
    assert "SECRET" not in str(caught.value)
    assert "accounts.csv" in str(caught.value)


def test_a_truncated_archive_is_rejected(folder: Path) -> None:
    (folder / "accounts.csv").unlink()
    (folder / "accounts.csv.gz").write_bytes(gzip.compress(ACCOUNTS.encode() * 1000)[:-20])
    with pytest.raises(SignalsError, match=r"accounts\.csv\.gz cannot be read as CSV"):
        open_source(folder)


def test_columns_of_several_files_are_matched_by_name(folder: Path) -> None:
    (folder / "accounts.csv").unlink()
    for part, text in {
        "kind=x%20y": "account_id;created_at\na;2025-01-01",
        "kind=z": "Created_at,name,ACCOUNT_ID\n2025-01-01,B,b",
    }.items():
        (folder / "accounts" / part).mkdir(parents=True)
        (folder / "accounts" / part / "0.csv").write_text(text)
    (folder / "accounts" / "_SUCCESS.csv").write_text("")
    (folder / "accounts" / "._0.csv").write_bytes(b"\0\5\26\7")
    assert _rows(folder, "accounts") == [
        {"account_id": "a", "created_at": "2025-01-01", "kind": "x y", "name": None},
        {"account_id": "b", "created_at": "2025-01-01", "kind": "z", "name": "B"},
    ]


def test_a_header_without_rows_is_an_empty_table(folder: Path) -> None:
    (folder / "usage.csv").write_text("account_id,occurred_at")
    assert _rows(folder, "usage") == []


def test_a_data_row_in_place_of_the_header_is_not_shown(folder: Path) -> None:
    (folder / "accounts.csv").write_text("Ann,SECRET,2025-01-01\nBo,x,2025-01-01\n")
    report = check_source(open_source(folder))
    text = "\n".join([*map(str, (*report.errors, *report.findings)), *report.notes])
    assert "accounts.account_id: the column is missing; expected string; the table has 3 columns" in text
    assert "SECRET" not in text
    assert "Ann" not in text


def test_a_decimal_comma_is_reported(folder: Path) -> None:
    (folder / "subscriptions.csv").write_text("account_id;started_at;arr\na;2025-01-01;1200,50\n")
    (finding,) = check_source(open_source(folder)).errors
    assert (finding.column, finding.positions) == ("arr", (1,))
    assert "decimal comma" in finding.expected


def test_count_rows_equals_the_number_of_loaded_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b'\xef\xbb\xbfa,b\r\n1,"x\r\n\r\ny"\r\n\r\n2,""\r3,z\n\n4,\xc3\xa9')
    assert count_rows(tmp_path / "t.csv") == 4
    (tmp_path / "t.csv").write_bytes(b"a\n1\n\xe9\n")
    with pytest.raises(SignalsError, match="row 2 is not UTF-8"):
        count_rows(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("account_id,x,x,X,x_1", ["account_id", "x", "x_2", "X_3", "x_1"]),
        ("account_id,x_1,x,x,y", ["account_id", "x_1", "x", "x_2", "y"]),
        ("account_id,column3,,x,x", ["account_id", "column3", "column3_1", "x", "x_1"]),
        ("account_id,,column2,,x", ["account_id", "column2_1", "column2", "column4", "x"]),
    ],
)
def test_repeated_columns_are_all_loaded(header: str, columns: list[str], folder: Path) -> None:
    (folder / "accounts.csv").write_text(f"{header}\na,1,2,3,4\n")
    rows = open_source(folder).tables["accounts"].to_pyarrow().to_pylist()
    assert rows == [dict(zip(columns, "a1234", strict=True))]


def test_quotation_marks_at_block_boundaries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    texts = {
        'k,v\na,"x"\nb,"y ""z"" \r\n,"\n"","\n': False,
        'k,v\na,s"t"u\nb,""\n': False,
        'k,v\na,"x"y\n': True,
        'k,v\na,"x""y"z,\n': True,
        'k,v\na,"x\nb,"y"\n': True,
    }
    for text, expected in texts.items():
        for size in (1, 2, 3, 5, 100):
            counted = csv_format._RowCounter(io.BytesIO(text.encode()), ",")
            while counted.read(size):
                pass
            assert (counted.text_after_quotes, size) == (expected, size), text


def test_json_objects_mixed_with_other_values_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "accounts.ndjson").write_text('{"account_id": "SECRET"}\n5\n')
    with pytest.raises(SignalsError, match=r"accounts\.ndjson cannot be read as JSON") as caught:
        open_source(tmp_path)
    assert "SECRET" not in str(caught.value)


def test_count_rows_rejects_an_unclosed_quotation_mark(tmp_path: Path) -> None:
    (file := tmp_path / "a.csv").write_text('k,v\na,"x\nb,y\n')
    with pytest.raises(SignalsError, match="row 1 has an unclosed quotation mark"):
        count_rows(file)
