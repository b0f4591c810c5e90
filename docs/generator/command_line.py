"""The reference of the command line, from Typer's own generator of documentation."""

from __future__ import annotations

import re
from typing import Any

from typer.cli import get_docs_for_click
from typer.main import get_command

import renewcast
from docs.generator.markdown import anchor, page, table
from features.utils.cli import FAILED_CHECK, USER_MISTAKE

PROGRAM = "renewcast"
EXIT_CODES = (
    ("0", "The command succeeded."),
    (
        str(FAILED_CHECK),
        "A check ran and did not pass, such as `leakcheck` with findings. Unexpected errors also end with 1.",
    ),
    (str(USER_MISTAKE), "You can fix it: a wrong argument, unusable signals, too little data. One message says how."),
    ("130", "Interrupted by Ctrl+C (SIGINT). No file is left half-written."),
    ("141", "The reader of the output closed it, as `head` does."),
    ("143", "Stopped by SIGTERM. No file is left half-written."),
)


def command_line_page() -> str:
    """Every command with its arguments, options and defaults, and the exit codes."""
    group: Any = get_command(renewcast.app)
    context = group.context_class(group, info_name=PROGRAM)
    text = get_docs_for_click(obj=group, ctx=context, name=PROGRAM)
    text = re.sub(r"(?m)^\* `--help`: .*\n", "", text)
    # Sections whose only option was --help.
    text = text.replace("**Options**:\n\n\n", "").replace("{SIGNALS}", "SIGNALS")
    text = re.sub(r"(?m)^(\$ .*)$", lambda line: re.sub(r"\{([A-Z_]+)\}", r"\1", line[0]), text)
    text = _with_command_lists(text, group, PROGRAM)
    _, _, rest = text.partition("\n")
    introduction = "Every command also has `--help`. [Exit codes](#exit-codes) are the same for all commands."
    codes = f"## Exit codes\n\n{table(('code', 'meaning'), EXIT_CODES)}"
    return page("Command line", introduction, rest, codes)


def _with_command_lists(text: str, group: Any, path: str) -> str:
    """The list of each group's commands with links and whole first sentences, which Typer cuts."""
    for name, command in group.commands.items():
        first = re.split(r"(?<=[.])\s", re.sub(r"\s+", " ", command.help or ""), maxsplit=1)[0]
        link = f"* [`{name}`](#{anchor(f'{path} {name}')}): {first}"
        section = re.escape(f"`{path}`")
        # Within the section of this group only: names may come again in another group.
        pattern = rf"(?ms)(^#+ {section}$.*?^\*\*Commands\*\*:$.*?)^\* `{re.escape(name)}`: [^\n]*$"
        text = re.sub(pattern, r"\g<1>" + link.replace("\\", r"\\"), text, count=1)
        if hasattr(command, "commands"):
            text = _with_command_lists(text, command, f"{path} {name}")
    return text
