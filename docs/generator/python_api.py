"""The reference of the public Python API: what `renewcast.__all__` names, from signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import renewcast
from docs.generator.markdown import anchor, page, table, without_rst

_SECTION = re.compile(r"(?m)^(\w[\w ]*)\n-{3,}$")
_INTRODUCTION = """\
`import renewcast` gives the names below. They are stable: a change that breaks them is announced in the changelog.
Everything else is private."""
_NOTHING = "This version has no public Python API. Use the [command line](cli.md) or the [HTTP API](http.md)."


def python_page() -> str:
    """Every public name with its signature and its docstring."""
    names = tuple(getattr(renewcast, "__all__", ()))
    if not names:
        return page("Python API", _NOTHING)
    values = {name: getattr(renewcast, name) for name in sorted(names, key=str.lower)}
    functions = {name: value for name, value in values.items() if not inspect.isclass(value)}
    classes = {name: value for name, value in values.items() if inspect.isclass(value)}
    return page(
        "Python API",
        _INTRODUCTION,
        _overview(functions, "function", ""),
        _overview(classes, "class", "class "),
        *(_entry(name, value) for name, value in (functions | classes).items()),
    )


def _overview(values: Mapping[str, Any], heading: str, prefix: str) -> str:
    rows = []
    for name, value in values.items():
        first_paragraph = (inspect.getdoc(value) or "").split("\n\n")[0]
        summary = re.split(r"(?<=\.)\s", first_paragraph, maxsplit=1)[0]
        rows.append((f"[`{name}`](#{anchor(prefix + name)})", without_rst(summary)))
    return table((heading, "summary"), rows)


def _entry(name: str, value: Any) -> str:
    # A class and a function may have the same name but for the case, which anchors do not have.
    parts = [f"## class {name}" if inspect.isclass(value) else f"## {name}"]
    text = inspect.getdoc(value) or ""
    if inspect.isclass(value):
        # Functions return these; how they are constructed is private.
        parts += [f"```python\nclass renewcast.{name}\n```", docstring_text(text), *_members(name, value, text)]
    elif callable(value):
        parts += [f"```python\nrenewcast.{name}{_signature(value)}\n```", docstring_text(text)]
    else:
        parts.append(f"`{value!r}`")
    return "\n\n".join(part for part in parts if part)


def _members(name: str, kind: type, text: str) -> Iterator[str]:
    """The public methods that the class itself documents, and the properties that its docstring does not list."""
    for member_name, member in vars(kind).items():
        listed = re.search(rf"(?m)^{member_name} :", text)
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if member_name.startswith("_") or listed or not inspect.isfunction(function) or not function.__doc__:
            continue
        call = "" if isinstance(member, property) else _signature(function)
        body = docstring_text(inspect.getdoc(function) or "")
        yield f"### {name}.{member_name}\n\n```python\n{member_name}{call}\n```\n\n{body}"


def _signature(value: Any) -> str:
    signature = inspect.signature(value)
    parameters = [_unquoted(str(parameter)) for parameter in signature.parameters.values()]
    first_keyword = next(
        (i for i, parameter in enumerate(signature.parameters.values()) if parameter.kind is parameter.KEYWORD_ONLY),
        None,
    )
    if first_keyword is not None:
        parameters.insert(first_keyword, "*")
    returned = signature.return_annotation
    returns = "" if returned is inspect.Signature.empty else f" -> {_unquoted(inspect.formatannotation(returned))}"
    line = f"({', '.join(parameters)}){returns}"
    return line if len(line) <= 80 else "(\n    " + ",\n    ".join(parameters) + f",\n){returns}"


def _unquoted(text: str) -> str:
    """An annotation that is a string, as it is written in the code."""
    return re.sub(r"(^|: )'([^']*)'", r"\1\2", text)


def docstring_text(text: str) -> str:
    """A numpydoc docstring as Markdown."""
    opening, *rest = _SECTION.split(text)
    parts = [without_rst(opening)]
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        parts += [f"**{title}**", _section(title, body.strip("\n"))]
    return "\n\n".join(part.strip("\n") for part in parts if part.strip())


def _section(title: str, body: str) -> str:
    if title in ("Examples", "Example"):
        return _examples(body)
    if title in ("Notes", "See Also", "References", "Warnings"):
        return without_rst(inspect.cleandoc(body))
    entries = []
    for line in body.splitlines():
        if line.strip() and not line.startswith(" "):
            name, _, kind = (part.strip() for part in line.partition(" : "))
            described = f": {without_rst(kind)}" if title == "Raises" else f" ({without_rst(kind)})"
            entries.append(f"- `{name}`" + (described if kind else ""))
        elif line.strip() and entries:
            joined = ": " if entries[-1].endswith(("`", ")")) and "\n" not in entries[-1] else "\n  "
            entries[-1] += f"{joined}{without_rst(line.strip())}"
    return "\n".join(entries)


def _examples(body: str) -> str:
    blocks = []
    for block in re.split(r"\n\s*\n", body):
        text = inspect.cleandoc(block)
        blocks.append(f"```python\n{text}\n```" if text.startswith(">>>") else without_rst(text))
    return "\n\n".join(blocks)
