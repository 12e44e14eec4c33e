"""Commands as documents show them: read from fenced shell blocks and from words in backticks. Rules only, no files."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

#: Languages of blocks that a reader pastes into a shell.
SHELL = frozenset({"sh", "bash", "console"})
#: A line that begins so is a command, wherever it stands. `watchtime up: …` is what the command says.
COMMAND = re.compile(
    r"^\s*(?:\$ |(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?"
    r"(?:watchtime|make|docker|aws|curl|kcat|npm|pip|pytest|python3?)(?= [^=\s])(?! \w+: ))"
)
_FENCE = re.compile(r"^( *)```(\w*)\s*$")
_HEREDOC = re.compile(r"<<-?'?(\w+)'?")
#: What the shell puts in; its quotes are not those of the command around it.
_SUBSTITUTION = re.compile(r"\$\([^()]*\)")
_ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*=")
#: Words that are the shell's own: what they hold together is shown on lines of its own.
_SHELL_WORDS = frozenset({"!", ".", "do", "done", "echo", "export", "mkdir", "umask", "until"})


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A command of a document."""

    #: Line of the document, from 1.
    line: int
    #: Program and arguments; assignments before it are left out.
    words: tuple[str, ...]
    #: True: in a block, to be typed as it stands. False: named in a sentence, perhaps without what it needs.
    whole: bool

    @property
    def text(self) -> str:
        """The words with one space between them."""
        return " ".join(self.words)


def shown(document: str) -> list[Shown]:
    """Return every command of a Markdown document: those of its shell blocks, then those in backticks."""
    found, prose = [], []
    for language, start, lines in blocks(document):
        # Blocks are no sentences, but keep their lines, so that those of the sentences can be counted.
        prose += lines if language is None else [""] * len(lines)
        if language in SHELL:
            found += [Shown(line=start + at, words=words, whole=True) for at, words in commands(lines)]
    text = "\n".join(prose)
    for match in re.finditer(r"`([^`]+)`", text):
        span = " ".join(match[1].split())
        if COMMAND.match(span):
            line = text.count("\n", 0, match.start()) + 1
            found += [Shown(line=line, words=words, whole=False) for _, words in commands([span])]
    return found


def hidden(document: str) -> list[str]:
    """Return lines that are commands, but stand in a block that is not marked as one for the shell."""
    return [
        line
        for language, _, lines in blocks(document)
        if language not in SHELL
        for line in lines
        if COMMAND.match(line) and (language is not None or line.startswith("    "))
    ]


def blocks(document: str) -> list[tuple[str | None, int, list[str]]]:
    """Return fenced blocks and what is between them: language (None between), number of the first line, lines."""
    marked, language, indent = list[tuple[str | None, str]](), None, 0
    for line in document.splitlines():
        if fence := _FENCE.match(line):
            language, indent = (fence[2], len(fence[1])) if language is None else (None, 0)
            marked.append((None, ""))
        else:
            marked.append((language, line.removeprefix(" " * indent)))
    numbered = enumerate(marked, 1)
    grouped = [(key, list(group)) for key, group in itertools.groupby(numbered, lambda one: one[1][0])]
    return [(key, group[0][0], [line for _, (_, line) in group]) for key, group in grouped]


def commands(lines: list[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield each command of a script with the index of its line; only the first program of a pipe is looked at."""
    at = 0
    while at < len(lines):
        start, text = at, lines[at]
        at += 1
        while (words := _split(text)) is None:
            if at == len(lines):
                raise ValueError(f"a command does not end: {lines[start]}")
            text = f"{text.removesuffix(chr(92))}\n{lines[at]}"
            at += 1
        if end := _HEREDOC.search(text):
            at = lines.index(end[1], at) + 1
        while words and (_ASSIGNMENT.match(words[0]) or words[0] == "!"):
            del words[0]
        if words and words[0] not in _SHELL_WORDS:
            yield start, (words[0].removeprefix(".venv/bin/"), *words[1:])


def _split(text: str) -> list[str] | None:
    """Return the words of a line, or None when the next line belongs to it."""
    if text.endswith("\\"):
        return None
    try:
        return shlex.split(_SUBSTITUTION.sub("$_", text), comments=True)
    except ValueError:
        return None
