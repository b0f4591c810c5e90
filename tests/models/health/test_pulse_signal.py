"""The example of the guide makes the renewal call a signal of the health score."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.health.rubric import load_rubric

ROOT = Path(__file__).resolve().parents[3]


def test_a_renewal_call_counts_in_the_dimension_relationship(tmp_path: Path) -> None:
    guide = (ROOT / "docs/how-to/rubrics-and-rules.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    shipped = (ROOT / "models/rubrics/five-dimensions.toml").read_text(encoding="utf-8")
    champions = 'feature = "relationship.champions"\nweight = '
    assert champions + "4" in shipped
    file = tmp_path / "ours.toml"
    text = shipped.replace(champions + "4", champions + "2").replace('name = "five-dimensions"', 'name = "ours"')
    file.write_text(f"{text}\n{example}", encoding="utf-8")
    rubric = load_rubric(str(file))
    frame = pd.DataFrame({"account_id": list("abcd"), "as_of": pd.Timestamp("2026-07-01", tz="UTC"), "relationship.champions": 1.0, "relationship.executive_sponsors": 1.0, "relationship.contacts": 3.0})
    scores = rubric.score(frame.assign(**{"pulse.renewal_call": [2.0, 1.0, 0.0, np.nan]}))
    points = scores.dimensions["relationship"].to_numpy()
    # 2 of 10 for a champion at 50 points, 3 for a sponsor and 3 for contacts at 100, and 2 for the call.
    assert points == pytest.approx([90.0, 80.0, 70.0, (2 * 50 + 3 * 100 + 3 * 100) / 8])
