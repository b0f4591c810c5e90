"""Plain language: words and phrases that make texts or names hard to read are not used anywhere in the project."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SUFFIXES = {".py", ".md", ".toml", ".html", ".css", ".js", ".ipynb", ".txt", ".ini", ".sh"}
SKIPPED = {"tests/test_language.py", "requirements.txt", "requirements-test.txt", "requirements-serving.txt", "tests/serving/requirements-client.txt"}
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
#: Stored names, which stay: a field of review.json and of model cards with its anchor, and a log event.
STORED = {
    "beside": (
        "models/artifacts/model_card.py", "serving/html/templates/account.html", "serving/html/templates/model_card.html",
        "serving/portfolio/model_card_markdown.py", "tests/serving/portfolio/test_model_cards.py", "training/pipeline/model_card.py",
        "training/review/recalibration/schemas.py", "training/review/recalibration/weight_decision.py",
        "training/review/recalibration/weight_estimates.py",
    ),
    "courier": ("serving/app/app.py",),
}  # fmt: skip
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


@cache
def _texts() -> dict[str, list[str]]:
    """The lines of every text file of the project, by its path."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    names = listed.stdout.splitlines() if listed.returncode == 0 else [str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if ".venv" not in p.parts]
    chosen = [name for name in names if Path(name).suffix in SUFFIXES and name not in SKIPPED and (ROOT / name).is_file()]
    return {name: (ROOT / name).read_text(encoding="utf-8").splitlines() for name in chosen}


@cache
def _lowercase() -> dict[str, str]:
    return {name: "\n".join(lines).lower() for name, lines in _texts().items()}


def _findings(words: str, stored: tuple[str, ...] = ()) -> list[str]:
    expression = re.compile(rf"(?<![a-z]){words}(?![a-z])", re.IGNORECASE)
    findings = []
    for name in (name for name, text in _lowercase().items() if words in text and name not in stored):
        lines = enumerate(_texts()[name], 1)
        findings += [f"{name}:{n}: {line.strip()[:100]}" for n, line in lines if expression.search(line)]
    return findings


@pytest.mark.parametrize("word", WORDS)
def test_no_text_or_name_uses_a_quaint_word(word: str) -> None:
    assert _findings(word, STORED.get(word, ())) == [], f"write: {WORDS[word]}"


@pytest.mark.parametrize("phrase", PHRASES)
def test_no_text_uses_a_quaint_phrase(phrase: str) -> None:
    assert _findings(phrase) == []
