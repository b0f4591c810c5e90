"""The shipped packs: a page for each from its TOML file, and a page on packs and their files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from docs.generator.markdown import code, page, table, without_rst
from docs.generator.settings import parameter_texts
from features.packs import schema
from features.packs.pack import Pack, shipped_pack, shipped_packs
from features.packs.queries import effect_of_others
from features.packs.schema import Input, InputColumn, Option

KINDS = {"billing": "Billing", "crm": "CRM", "support": "Support", "product": "Product analytics"}
"""The kinds of packs, in the order of the page."""
_INTRODUCTION = """\
A pack maps the tables of a known tool to the [data contract](contract.md), as a loader or an export of the tool lands
them. A mapping names it, and everything else follows: which table is which, types, the latest version of each row, and
what was known when. `renewcast connect` recognizes the tool, drafts the mapping and states every assumption.

```toml
[sources.billing]
uri = "exports/stripe"
pack = "stripe"
options.seats = "always"
```

Names of tables and columns match without regard to case, and a prefix of the tool such as `stripe_` does not matter. A
table that a pack does not need may be missing: what it would show is unknown, never zero."""
_OWN = """\
A pack is a TOML file. Its SQL is DuckDB's, one `SELECT` for each table, from inputs only. Values of options are written
`$name`. Every pack can also read `minor_units`, which lists the currencies that do not have 100 minor units: `currency`
and `units`."""
_VALUES = """\
The values that the pack understands, ignoring case. `connect` and `check` count the rows with another one. A mapping
says with `values.TABLE.COLUMN = { yours = "known" }` of the source which of these values another one stands for."""
_PARTS = (
    ("The file", schema.PackFile),
    ("`[inputs.NAME]`", schema.Input),
    ("`latest` of an input", schema.Latest),
    ("`[inputs.NAME.columns]`", schema.InputColumn),
    ("`otherwise` of an input", schema.Derived),
    ("`[options.NAME]`", schema.Option),
    ("`[tables.NAME]`", schema.PackTable),
    ("`[identity]`", schema.Identity),
    ("`[[assumptions]]`", schema.Assumption),
)


def pack_pages() -> dict[str, Callable[[], str]]:
    """The page of each shipped pack by its file name."""

    def page_of(name: str) -> Callable[[], str]:
        return lambda: pack_page(shipped_pack(name))

    return {f"pack-{name}.md": page_of(name) for name in shipped_packs()}


def packs_page() -> str:
    """What packs are, which there are, and how a pack file is written."""
    parts = []
    for kind, title in KINDS.items():
        rows = [
            (f"[{pack.file.title}](pack-{name}.md)", code(name), ", ".join(map(code, pack.file.tables)))
            for name, pack in shipped_packs().items()
            if pack.file.kind == kind
        ]
        parts.append(f"## {title}\n\n{table(('tool', 'pack', 'tables'), rows)}")
    keys = "\n\n".join(
        f"### {title}\n\n{table(('key', 'meaning'), [(code(n), _prose(t)) for n, t in parameter_texts(part).items()])}"
        for title, part in _PARTS
    )
    return page("Packs", _INTRODUCTION, *parts, f"## A pack file\n\n{_OWN}\n\n{keys}")


def pack_page(pack: Pack) -> str:
    """One pack: what it reads and maps, its options, what it assumes, and its pitfalls."""
    file = pack.file
    return page(
        file.title,
        f"Pack `{pack.name}`, version {file.version}. {_prose(file.about)}",
        f"## Tables of the contract\n\n{table(('table', 'needs one of', 'columns that need more'), _tables(pack))}",
        f"## Tables of {file.title}\n\nA column in bold is needed to recognize its table.\n\n{_inputs(pack)}",
        f"## Options\n\n{_options(file.options)}" if file.options else "",
        f"## Values\n\n{_VALUES}\n\n{_value_lists(file.inputs)}" if _value_lists(file.inputs) else "",
        f"## Assumptions\n\nEach is stated with its count, if the count is not zero.\n\n{_list(_assumptions(pack))}",
        f"## What to know\n\n{_list(file.pitfalls)}" if file.pitfalls else "",
        f"## Sources\n\nThe tables follow these public pages.\n\n{_list(f'<{each}>' for each in file.documentation)}",
    )


def _tables(pack: Pack) -> list[tuple[str, str, str]]:
    return [
        (
            code(name),
            ", ".join(map(code, each.needs)),
            "; ".join(f"{code(column)}: {', '.join(map(code, needs))}" for column, needs in each.optional.items()),
        )
        for name, each in pack.file.tables.items()
    ]


def _inputs(pack: Pack) -> str:
    rows = [
        (", ".join(map(code, each.names)), "yes" if each.required else "", _columns(each))
        for each in pack.file.inputs.values()
        if each.names
    ]
    return table(("table, by any of these names", "required", "columns"), rows)


def _columns(each: Input) -> str:
    return ", ".join(_column(name, about) for name, about in each.columns.items())


def _column(name: str, about: InputColumn) -> str:
    names = " or ".join(map(code, about.names or (name,)))
    return f"**{names}**" if about.required else names


def _value_lists(inputs: dict[str, Input]) -> str:
    rows = [
        (code(f"{name}.{column}"), ", ".join(map(code, about.values)), effect_of_others(about))
        for name, each in inputs.items()
        for column, about in each.columns.items()
        if about.values
    ]
    return table(("column", "values", "rows with another value"), rows) if rows else ""


def _options(options: dict[str, Option]) -> str:
    rows = [(code(name), _values(option), code(_default(option)), option.about) for name, option in options.items()]
    return table(("option", "value", "default", "meaning"), rows)


def _values(option: Option) -> str:
    if option.type == "choice":
        return " or ".join(map(code, option.choices))
    return {
        "column": "name of a column",
        "table": "name of a table",
        "boolean": "true or false",
        "list": "list of texts",
    }.get(option.type, option.type)


def _default(option: Option) -> str:
    if isinstance(option.default, bool):
        return str(option.default).lower()
    return ", ".join(option.default) if isinstance(option.default, tuple) else str(option.default)


def _assumptions(pack: Pack) -> list[str]:
    texts = [re.sub(r"\{n:([^{}]+)\}", r"N \1s", each.text) for each in pack.file.assumptions]
    return [text.replace("{n}", "N").replace("{", "*").replace("}", "*") for text in texts] + [
        "N values unreadable (another format, or instants before 1900 or from 2200 on), and so unknown."
    ]


def _prose(text: str) -> str:
    """The text in one paragraph, with single backticks and without what Markdown would read as HTML."""
    return " ".join(without_rst(text).split()).replace("<", "&lt;")


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
