"""Control and invisible characters in untrusted text are printed as escapes."""

from __future__ import annotations

import ast
import io
import sys
import unicodedata
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from features.utils.console import Console
from features.utils.console import Table as FoldedTable
from features.utils.printable import PrintableStream, printable, printable_line, printable_output

ROOT = Path(__file__).resolve().parents[3]
HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
HOSTILE = st.text(st.sampled_from("a[]/:\n\t\r\x00\x07\x08\x1b\x7f\x9b\xad\u061c\u200b\u200e\u202e\u2028\u2066\ufeff\ud800\U000e0041🙂界"), max_size=30)


def hidden_in(text: str) -> set[str]:
    return {c for c in text if unicodedata.category(c) in HIDDEN and c not in "\n\t"}


def test_every_character_that_unicode_calls_control_or_format_is_escaped() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        # Later Unicode versions turn some unassigned characters into format characters.
        if unicodedata.category(character) != "Cn":
            assert (printable(character) != character) is bool(hidden_in(character)), hex(code)


@given(HOSTILE)
def test_escapes_identify_the_original_characters(text: str) -> None:
    printed = printable_line(text)
    assert not hidden_in(printed)
    assert "\n" not in printed
    assert all(repr(c)[1:-1] in printed for c in text if hidden_in(c) or c in "\n\t")
    assert printable(printed) is printed


@given(HOSTILE)
def test_a_console_prints_text_literally(text: str) -> None:
    for styled in (True, False):
        out = io.StringIO()
        console = Console(file=out, width=4000, force_terminal=styled, color_system="standard" if styled else None)
        table = Table("name", title=text)
        table.add_row(text)
        for each in (text, Text(text, style="red"), table, Panel(Text(text)), f"{text}[red]x[/]:smile:"):
            console.print(each, style="bold" if styled else None)
        printed = out.getvalue()
        if styled:
            for code in ("\x1b[31m", "\x1b[1m", "\x1b[1;31m", "\x1b[1;3m", "\x1b[0m"):
                printed = printed.replace(code, "")
        assert not hidden_in(printed)
        assert "[red]x[/]:smile:" in printed


def test_a_table_with_escapes_is_aligned() -> None:
    out = io.StringIO()
    table = Table("name", "n")
    table.add_row("\x1b[2J\u202eabc", "1")
    table.add_row("short", "2")
    Console(file=out, width=80).print(table)
    assert len({len(line) for line in out.getvalue().splitlines()}) == 1
    assert r"\x1b[2J\u202eabc" in out.getvalue()


def test_text_written_to_the_streams_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr(sys, "stdout", raw)
    with printable_output():
        assert isinstance(sys.stdout, PrintableStream)
        # Typer removes styles if there is no terminal.
        typer.echo("a\x1b[31m\x1b]\u202e\ud800é")
        print("b\x9b", end="")
        Console().print("c\x1b]0;title\x07")
        sys.stdout.writelines(["d\r", "\n"])
    raw.flush()
    assert sys.stdout is raw
    assert raw.buffer.getvalue().decode("ascii").splitlines() == [  # type: ignore[attr-defined]
        r"a\x1b]\u202e\ud800\xe9", r"b\x9bc\x1b]0;title\x07", r"d\r",
    ]  # fmt: skip


def test_commands_print_only_through_the_console() -> None:
    """Commands use only `features.utils.console`; Rich's own console interprets markup and control characters."""
    for folder in ("features", "models", "serving", "training"):
        for path in (*(ROOT / folder).rglob("*.py"), ROOT / "renewcast.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            ours = any(isinstance(n, ast.ImportFrom) and n.module == "features.utils.console" for n in ast.walk(tree))
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and path.name != "console.py":
                    assert node.func.id != "Console" or ours, path
                    assert node.func.id != "print", path
                if isinstance(node, ast.ImportFrom):
                    assert node.module != "rich", path


@given(st.text("abcdefgh-0123456789", min_size=30, max_size=90))
def test_a_table_cuts_no_long_word_off(word: str) -> None:
    shown = io.StringIO()
    table = FoldedTable("name", "what it is")
    table.add_row(word, "some words about it")
    Console(file=shown, width=60).print(table)
    heading, *lines = shown.getvalue().splitlines()
    assert "".join(line[: heading.index("what")].strip() for line in lines) == word
