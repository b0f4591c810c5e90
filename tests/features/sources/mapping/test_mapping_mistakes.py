"""A mistake in a mapping ends with one message: the file, the place, the key, what was expected, and the cure."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import SignalsError
from features.sources.open_source import open_source

HEAD = 'about = "x"\n[files]\na = "a.csv"\n[tables]\naccounts = "SELECT id AS account_id, since AS created_at FROM a"\n'
#: The text after HEAD starts in line 6.
MISTAKES = [
    ("[tables.usage]\nform = 'a'", r"\(line 7, column 8\): tables\.usage\.form: unknown key\nExpected: one of the keys query, from, .*\nFix: write from"),
    ("[tables.usage]\nfrom = 'a'\nquery = 'SELECT 1'", r"\(line 6, column 1\): tables\.usage: it has both query and from"),
    ("[tables.usage]\nappend = true", r"tables\.usage: it has append, but neither query nor from"),
    ("[tables.usage]\nfrom = 'b'", r"\(line 7, column 8\): the query of tables\.usage does not run: it reads b, which is neither"),
    ("[tables.usage]\nfrom = 'a'\ncolumns = { occurred_at = 'sinse' }", r"\(line 8, column 27\): tables\.usage\.columns\.occurred_at: there is no column sinse\nExpected: one of id, since"),
    ("[tables.usage]\nfrom = 'a'\nvalues.user_ids = { a = 'b' }", r"tables\.usage\.values\.user_ids: usage has no such column\n.*\nFix: write user_id"),
    ("[tables.support]\nfrom = 'a'\nvalues.severity = { p1 = 'urgnt' }", r"\(line 8, column 26\): tables\.support\.values\.severity\.p1: not a value of the data contract\nExpected: one of low, normal, high, urgent"),
    ("[tables.support]\nfrom = 'a'\nvalues.severity = { p1 = 'low', P1 = 'low' }", r"values\.severity\.p1: the value is named more than once"),
    ("[tables.support]\nfrom = 'a'\nvalues.severity = { p1 = 'low' }", r"tables\.support\.values\.severity: the table has no column severity"),
    ("[tables.usage]\nfrom = 'a'\nunits.minutes = 'cents'", r"\(line 8, column 17\): tables\.usage\.units\.minutes: cents is not a unit of usage\.minutes\nExpected: one of milliseconds, seconds"),
    ("[tables.usage]\nfrom = 'a'\nunits.minutes = 'secs'", r"tables\.usage\.units\.minutes: not a valid value\nExpected: 'cents', "),
    ("[tables.usage]\nfrom = 'a'\ntime = { zone = 'Berlin' }", r"\(line 8, column 17\): tables\.usage\.time\.zone: unknown time zone"),
    ("[tables.usage]\nfrom = 'a'\ntime.quantity = { epoch = 's' }", r"tables\.usage\.time\.quantity: usage has no such column of the kind instant"),
    ("[tables.usage]\nfrom = 'a'\ntime = { epoch = 'min' }", r"\(line 8, column 18\): tables\.usage\.time\.epoch: not a valid value\nExpected: 's', 'ms', 'us', 'ns', 'seconds', 'milliseconds'"),
    ("[tables.usage]\nfrom = 'a'\nwhere = 'idd = 1'", r"\(line 8, column 9\): tables\.usage\.where: Binder Error: Referenced column \"idd\" not found"),
    ("[tables.usage]\nfrom = 'a'\nwhere = 'id IN (SELECT id FROM a)'", r"tables\.usage\.where: it reads a table"),
    ("[tables.usage]\nfrom = 'a'\nwhere = '1 = 1) UNION SELECT * FROM read_text(1'", r"tables\.usage\.where cannot be used"),
    ("[tables.usage]\nfrom = 'a'\nlatest = { key = 'id' }", r"tables\.usage\.latest: the key by is missing"),
    ("[tables.usage]\nquery = '''\nSELECT id,\n  nope FROM a'''", r"\(line 9, column 3\): the query of tables\.usage does not run: Binder Error"),
    ("[tables.usage]\nquery = '''\nSELECT id\nFORM a b c'''", r"\(line 9, column 6\): the query of tables\.usage cannot be used: it does not parse"),
    ("[[tables.usage]]\nquery = 'SELECT 1 AS x'\n[[tables.usage]]\nquery = 'DROP TABLE a'", r"\(line 9, column 9\): the query of tables\.usage\[2\] cannot be used: it is of the kind DROP"),
    ("[tables.usages]\nfrom = 'a'", r"\(line 6, column 1\) names tables that are not in the contract: usages"),
    ("[identity]\nspine = 'crm'", r"identity\.spine: there is no such source"),
    ("[identity]\nshared = 'both'", r"\(line 7, column 10\): identity\.shared: not a valid value\nExpected: 'merge' or 'error'"),
    ("[sources.'a b']\nuri = 'x'", r"sources\.a b: a name that is not valid\nExpected: a name of lowercase letters, .*\nFix: write another name"),
    ("[tables.usage\nfrom = 'a'", r"is not valid TOML: .*line 6"),
    ("[source]\npack = 'stripe'", r"\(line 6, column 1\): source: the key uri is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_one_message(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,since\nSECRET,2025-01-01\n")
    (tmp_path / "m.toml").write_text(HEAD + text)
    with pytest.raises(SignalsError, match=message) as caught:
        open_source(tmp_path / "m.toml")
    assert str(caught.value).startswith(f"{tmp_path / 'm.toml'} ")
    assert "line " in str(caught.value)
    assert str(caught.value).count("\nFix: ") == 1
    assert "SECRET" not in str(caught.value)


def test_a_date_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,since\na,2025-01-01\n")
    (tmp_path / "m.toml").write_text('data_through = "soon"\n' + HEAD)
    with pytest.raises(SignalsError, match=r"\(line 1, column 16\): data_through: invalid date"):
        open_source(tmp_path / "m.toml")
