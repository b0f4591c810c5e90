"""An answer is handed over once: in a file, as JSON, or in words; a bar leaves standard output alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from features.utils.cli import document_file, hand_over, progress

TOLD = {"measure": "nrr", "value": 1.02}


def _hand_over(as_json: bool, out: Path | None = None) -> None:
    def show(console: Console) -> None:
        console.print("in words")

    hand_over(as_json, lambda: TOLD, show, out, document_file(TOLD, "one measure"))


def test_a_person_reads_words_and_a_program_json(capsys: pytest.CaptureFixture[str]) -> None:
    _hand_over(False)
    assert capsys.readouterr().out == "in words\n"
    _hand_over(True)
    assert json.loads(capsys.readouterr().out) == TOLD


@pytest.mark.parametrize("as_json", [False, True])
def test_a_file_takes_the_answer_and_the_terminal_says_so(as_json: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "told.json"
    _hand_over(as_json, out)
    assert json.loads(out.read_text(encoding="utf-8")) == TOLD
    assert capsys.readouterr().out == f"one measure in {out}\n"


def test_what_json_cannot_say_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "told.json"
    out.write_text("before", encoding="utf-8")
    with pytest.raises(ValueError, match="Out of range"):
        document_file({"value": float("nan")}, "one measure")(out)
    assert [file.read_text(encoding="utf-8") for file in tmp_path.iterdir()] == ["before"]


def test_progress_leaves_standard_output_to_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("looking") as tell:
        tell(0.5, "scoring")
    assert capsys.readouterr().out == ""
