"""The columns that are recognized in a spreadsheet."""

from __future__ import annotations

from docs.generator.markdown import code, page, table
from features.sources.spreadsheet.vocabulary import Field, fields

_INTRODUCTION = """\
The columns that Renewcast recognizes in a [spreadsheet](../../how-to/spreadsheets.md) with one row per account. Names
are compared without case, accents (*ä* is *ae*), punctuation, units such as `(USD)` and English words such as *current*
or *date*. A column may also have the name of a [feature](features.md)."""
_READS = {
    "text": "text",
    "date": "a date, in any usual form",
    "money": "an amount: `$1,200`, `1.200,50 €`, `48k`, `1.2M`, `$99/mo`",
    "number": "a number",
    "count": "a number of zero or more",
    "share": "a share or a percentage: `0.85`, `85%`",
    "change": "a change in percent: `-30%`",
    "flag": "yes or no",
    "flag_or_name": "yes, no, a name, or that the person left",
    "flag_or_amount": "yes, no or an amount",
    "status": "a status",
    "color": "a color",
}


def spreadsheet_page() -> str:
    """Every column that is recognized, with its spellings."""
    rows = [
        (
            code(field.name),
            ". ".join(filter(None, (field.about, field.reads, f"Not used: {field.unused}" if field.unused else ""))),
            _values(field),
            code(field.feature),
            _names(field),
        )
        for field in fields().values()
    ]
    return page(
        "Columns of a spreadsheet", _INTRODUCTION, table(("column", "meaning", "values", "feature", "names"), rows)
    )


def _names(field: Field) -> str:
    others = (f"{language}: {', '.join(names)}" for language, names in field.translations.items())
    return ". ".join([", ".join(field.names), *others])


def _values(field: Field) -> str:
    if field.maximum is None:
        return _READS[field.kind]
    return f"{_READS[field.kind]}, {field.minimum or 0:g} to {field.maximum:g}"
