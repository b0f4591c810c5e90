"""Names of the shipped rubrics that code refers to."""

from __future__ import annotations

DEFAULT_RUBRIC = "five-dimensions"
SPREADSHEET_RUBRIC = "spreadsheet"
