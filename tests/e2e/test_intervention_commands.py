"""Interventions through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def test_an_intervention_is_started_changed_listed_and_closed(renewcast: Any, tmp_path: Path) -> None:
    def run(*words: str, expect: int = 0) -> Any:
        return renewcast("interventions", *words, home=tmp_path, expect=expect)

    assert "no interventions" in run("list").stdout
    started = json.loads(run("start", "acme", "--play", "low_adoption", "--note", "called [red]", "--by", "Ada", "--json").stdout)
    assert (started["state"], started["version"], started["history"][0]["by"]) == ("open", 1, "Ada")
    refused = run("start", "acme", "--by", "Grace", expect=2)
    assert "already under way" in refused.stderr
    key = started["id"]
    changed = run("change", key, "--assignee", "Grace", "--note", "on leave", "--by", "Ada").stdout
    assert "assigned to Grace: on leave" in changed
    stale = run("change", key, "--close", "saved", "--version", "1", "--by", "Grace", expect=2)
    assert "someone else has changed the intervention" in stale.stderr
    run("change", key, "--close", "saved", "--arr", "1200", "--version", "2", "--by", "Grace")
    shown = json.loads(run("show", key, "--json").stdout)
    assert [(entry["by"], entry["actions"]) for entry in shown["history"]] == [
        ("Ada", ["started"]), ("Ada", ["assigned"]), ("Grace", ["closed"]),
    ]  # fmt: skip
    assert "called [red]" in run("show", key).stdout
    listed = json.loads(run("list", "--state", "closed", "--account", "acme", "--json").stdout)
    assert listed == {"data": [shown], "more": 0}
    for words, text in (
        (("change", key), "nothing to change"),
        (("change", key, "--close", "won"), "result cannot be used"),
        (("change", key, "--snooze-until", "soon"), "snoozed until cannot be used"),
        (("list", "--state", "done"), "open, snoozed, closed, held_out"),
        (("show", "int_unknown"), "no intervention with this id"),
        (("results",), "no"),
    ):
        mistake = run(*words, expect=2)
        assert text in mistake.stderr
        assert "Traceback" not in mistake.stderr
