"""Plain language: words and phrases that make texts or names hard to read are not used anywhere in the project."""

from __future__ import annotations

import re
import subprocess
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SUFFIXES = {
    ".py",
    ".md",
    ".toml",
    ".html",
    ".css",
    ".js",
    ".ipynb",
    ".txt",
    ".ini",
    ".sh",
    ".in",
    ".mako",
    ".properties",
}
#: Text files without a suffix.
OTHERS = {"Makefile", ".ci/run", ".gitignore"}
PACKAGES = ("features", "models", "training", "serving", "tests", "docs", "bench")
SKIPPED = {
    "tests/test_language.py",
    "requirements.txt",
    "requirements-test.txt",
    "requirements-serving.txt",
    "requirements-notebook.txt",
    "tests/serving/requirements-client.txt",
}
#: Found as whole words, also within identifiers such as ``what_is_told``. Each has a plain word that says the same.
WORDS = {
    "told": "reported, shown, stated",
    "telling": "reporting, showing",
    "whom": "who, or a plural noun",
    "nought": "zero",
    "nobody": "no one",
    "beside": "next to, compared with, besides",
    "anew": "again",
    "thereby": "so",
    "lest": "so that ... not",
    "forgo": "do without",
    "hitherto": "until now",
    "moods": "latent dynamics",
    "courier": "delivery worker",
    "keeper": "live state",
    "reigns": "champion history",
    "doorkeeper": "authentication",
    "beforehand": "before, in advance",
    "honoured": "respected",
    "colour": "color",
    "behaviour": "behavior",
    "licence": "license",
    "favour": "favor",
    "whereupon": "and then",
    "notwithstanding": "despite",
    "befalls": "happens to",
    "reign": "period as champion",
    "shall": "must, will",
    "mend": "fix",
    "mends": "fixes",
    "mended": "fixed",
    "likewise": "also",
    "hence": "so",
    "thereof": "of it",
    "wherein": "in which",
    "amid": "among",
    "akin": "similar",
    "afresh": "again",
    "upon": "on",
    "door": "endpoint, interface",
    "doors": "endpoints, interfaces",
}
#: Stored names, which stay: a field of review.json and of model cards with its anchor, and the thread named in a log event.
STORED = {
    "beside": re.compile(r"""\.beside\b|["'`]beside["'`]|\bbeside(?==|\ ?:\ )"""),
    "courier": re.compile(r'"courier"|courier failed'),
    "nobody": re.compile(r'"nobody"'),
}
PHRASES = (
    "at hand", "held against", "hold against", "holds against", "say of", "says of", "said of", "goes with a higher", "goes with a lower",
    "late already", "the title back", "make up a", "so many rows", "bit by bit", "by turns", "in vain", "for want of",
    "whose sake", "for the sake of", "gone over", "to which it happens", "said and happened", "other draws of",
    "no word of", "as before it", "stands for itself", "hand in hand", "out of reach",
    "vouched for", "vouches for", "written over", "the door that", "worked out by hand", "learned of late",
    "at the very instant", "by the thousand", "told apart", "title back", "no account is like", "clearly apart from",
    "keep their first", "none that was given", "hold signals", "what there is", "nothing but", "no more than", "in sight",
    "handed in", "hands over", "is not asked", "it is told", "is said", "said to be", "come to light", "sound signals",
    "kept from", "of its own accord", "as json has it", "room again", "no room", "give away", "by the light",
)  # fmt: skip

#: Only wrong as a whole label or sentence: "Only those", not "only those that ...".
LABELS = ("only those", "late already")
#: Parts that no name of a module or folder has: participles and images say nothing about what the module holds.
NOT_IN_MODULE_NAMES = {
    *(
        "told",
        "made",
        "kept",
        "known",
        "seen",
        "asked",
        "found",
        "judged",
        "given",
        "taken",
        "written",
        "read",
        "gathered",
        "drawn",
    ),
    *(
        "watched",
        "treated",
        "drifted",
        "stopped",
        "tested",
        "taught",
        "said",
        "held",
        "done",
        "alone",
        "against",
        "enough",
        "fresh",
    ),
    *(
        "door",
        "doors",
        "keeper",
        "doorkeeper",
        "moods",
        "courier",
        "companion",
        "reigns",
        "reign",
        "hold",
        "worlds",
        "surroundings",
        "own",
    ),
}
#: Texts that the tests must reject. The first ones are the examples of the style guide.
EXAMPLES = (
    "Give the title back to the champion before", "Make up a B2B SaaS portfolio", "Hold signals against the data contract",
    "Whom to work this week", "goes with a higher churn risk", "<b>late already</b>", "No account is like this.", "<button>Only those</button>",
    "Said and happened", "by log loss it is not clearly apart from", "sees 5% of the ARR to which it happens",
    "trained on other draws of the accounts", "60% keep their first reason", "So many rows are calibrated at once",
    "The cursor is none that was given out",
    "a phrase at\nhand", "    # one that goes\n    # with a lower risk", '"there is no room "\n    "at hand"', '"at\\n",\n    "hand"',
    "class WhatIsTold:", "HTTPDoor", "what_is_told", "atHand", "the bars stand beside the line", "{% macro pieces(beside) %}",
)  # fmt: skip


@dataclass(frozen=True)
class _Text:
    """A file as running words: lines joined, comment marks and quotes at line ends removed, identifiers split."""

    raw: str
    words: str
    starts: list[int]

    @classmethod
    def of(cls, raw: str) -> _Text:
        words, starts, length = [], [], 0
        for line in raw.splitlines():
            text = _LINE_END.sub("", _LINE_START.sub("", line.strip()))
            text = _HUMPS.sub(" ", text).replace("_", " ").lower()
            text = " ".join(text.split())
            starts.append(length)
            words.append(text)
            length += len(text) + 1
        return cls(raw, " ".join(words), starts)

    def lines(self, expression: re.Pattern[str]) -> list[int]:
        """Return the numbers of the lines where the expression matches."""
        return [bisect_right(self.starts, match.start()) for match in expression.finditer(self.words)]


#: Comment marks, list marks and opening quotes at the start of a line; closing quotes at its end, also of notebook cells.
_LINE_START = re.compile(r"""^(?:(?:\#:?|//|/?\*+|>|-|\{\#|<!--)\s+)*[rf]*["']*""")
_LINE_END = re.compile(r"""\s*(?:\\n["'],?|["']+|\\)$""")
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@cache
def _names() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    if listed.returncode == 0:
        return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    return [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if ".venv" not in path.parts and path.is_file()]


@cache
def _texts() -> dict[str, _Text]:
    """The text files of the project by path."""
    chosen = [name for name in _names() if (Path(name).suffix in SUFFIXES or name in OTHERS) and name not in SKIPPED]
    return {name: _Text.of((ROOT / name).read_text(encoding="utf-8")) for name in chosen}


def _lines_with(text: _Text, words: str) -> list[int]:
    """Return the numbers of the lines that have these words, except in stored names."""
    if words not in text.words:
        return []
    if words in STORED:
        text = _Text(text.raw, STORED[words].sub(lambda match: " " * len(match[0]), text.words), text.starts)
    return text.lines(re.compile(rf"(?<![a-z]){words}(?![a-z])"))


def _lines_with_label(text: _Text, label: str) -> list[int]:
    expression = re.compile(rf"""(?:^|[>"'`|.])\s*{label}\s*["'`<.|]""", re.IGNORECASE)
    return [n for n, line in enumerate(text.raw.splitlines(), 1) if expression.search(line)]


def _findings(lines_with: Callable[[_Text, str], list[int]], words: str) -> list[str]:
    return [
        f"{name}:{n}: {text.raw.splitlines()[n - 1].strip()[:100]}"
        for name, text in _texts().items()
        for n in lines_with(text, words)
    ]


@pytest.mark.parametrize("word", WORDS)
def test_no_text_or_name_uses_a_quaint_word(word: str) -> None:
    assert _findings(_lines_with, word) == [], f"write: {WORDS[word]}"


@pytest.mark.parametrize("phrase", PHRASES)
def test_no_text_uses_a_quaint_phrase(phrase: str) -> None:
    assert _findings(_lines_with, phrase) == []


@pytest.mark.parametrize("label", LABELS)
def test_no_label_is_a_fragment(label: str) -> None:
    assert _findings(_lines_with_label, label) == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_quaint_texts_are_recognized(example: str) -> None:
    text = _Text.of(example)
    assert any(_lines_with(text, words) for words in (*WORDS, *PHRASES)) or any(
        _lines_with_label(text, label) for label in LABELS
    )


def test_a_phrase_over_two_lines_is_reported_at_its_first_line() -> None:
    assert _lines_with(_Text.of("one\n# data at\n# hand"), "at hand") == [2]


def test_stored_names_are_accepted() -> None:
    assert not any(
        _lines_with(_Text.of(text), "beside")
        for text in ("p.beside.get(name)", "beside: Estimate", '<h2 id="beside">', "beside=rivals")
    )


def test_module_names_are_nouns_of_the_field() -> None:
    modules = [
        Path(name).with_suffix("").parts for name in _names() if name.endswith(".py") and name.split("/")[0] in PACKAGES
    ]
    bad = {
        "/".join(parts)
        for parts in modules
        if {word for part in parts for word in part.split("_")} & NOT_IN_MODULE_NAMES
    }
    assert bad == set()
