"""Results are written as a file, as JSON or as text; the progress bar does not use standard output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from features.utils.cli import json_file_writer, progress_bar, write_result

PAYLOAD = {"measure": "nrr", "value": 1.02}


def _write(as_json: bool, out: Path | None = None) -> None:
    def show(console: Console) -> None:
        console.print("as text")

    write_result(as_json, lambda: PAYLOAD, show, out, json_file_writer(PAYLOAD, "one measure"))


def test_results_are_printed_as_text_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    _write(False)
    assert capsys.readouterr().out == "as text\n"
    _write(True)
    assert json.loads(capsys.readouterr().out) == PAYLOAD


@pytest.mark.parametrize("as_json", [False, True])
def test_a_result_file_is_reported_on_the_terminal(as_json: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "result.json"
    _write(as_json, out)
    assert json.loads(out.read_text(encoding="utf-8")) == PAYLOAD
    printed, message = capsys.readouterr(), f"one measure in {out}\n"
    # With --json, standard output is the JSON object alone.
    assert (json.loads(printed.out), printed.err) == (PAYLOAD, message) if as_json else printed == (message, "")


def test_values_that_json_cannot_represent_leave_the_file_unchanged(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    out.write_text("before", encoding="utf-8")
    with pytest.raises(ValueError, match="Out of range"):
        json_file_writer({"value": float("nan")}, "one measure")(out)
    assert [file.read_text(encoding="utf-8") for file in tmp_path.iterdir()] == ["before"]


def test_progress_is_not_written_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("looking") as report:
        report(0.5, "scoring")
    assert capsys.readouterr().out == ""
