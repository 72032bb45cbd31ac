"""Answers: which six things does a trainee say, and how is each of them written?"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from loomtriage.contract import causes, reasons
from loomtriage.errors import UsageError
from loomtriage.report.tables import Table
from loomtriage.train.remedies import WORDS

SCOPE_KEYS = ("projection", "op", "reason", "result")
REPLAY, NO_PLACE = "replay", "none"
ALONE = ("none", "unknown")
"""Causes that are said alone, or not at all."""
ASKED: Mapping[str, str] = {
    "wrong": "Is something wrong? yes or no",
    "scope": "Where? key=value of projection, op, reason, result, as far as you know, or none",
    "step": "Which step? name of the span that fails, or none",
    "cause": f"Which cause? {', '.join(causes.BY_ID)}; several where several stand at once",
    "do": (
        f"What to do first? {', '.join(WORDS)} (lift is to take away what stands in the way: a "
        "block, a lock); add replay if rows must be replayed after it"
    ),
    "sure": "How sure, 0 to 1?",
}
"""The six questions, in the order in which they are asked."""
PROVES = "What shows it? a metric's id or name, a trace id, a line's sha256; or nothing"
_POINTER = re.compile(r"[^\s,{]+(?:\{[^}]*\})?")
"""A word, with the labels that stand behind a metric's name on a panel."""


class Answers(BaseModel):
    """What a trainee says; whatever is empty is not answered (yet).

    Attributes:
        wrong: `yes` or `no`.
        scope: `projection=… reason=…`; keys that are left out are not claimed. Or `none`.
        step: operation of the span that fails, or `none`.
        cause: an id of the contract's causes, or several where several faults stand at once;
            `unknown` abstains. Who sees nothing wrong names none, and nobody else does.
        do: an action, and `replay` when rows must be replayed afterwards: `fix_data, replay`.
        sure: how sure of the cause, 0 to 1.
        because: what shows it: metrics by id or name, trace ids, SHA-256 of log lines; any number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    wrong: str = ""
    scope: str = Field(default="", max_length=300)
    step: str = Field(default="", max_length=200)
    cause: str = Field(default="", max_length=200)
    do: str = Field(default="", max_length=80)
    sure: float | None = Field(default=None, ge=0, le=1)
    because: str = Field(default="", max_length=2000)

    @field_validator("wrong")
    @classmethod
    def _wrong(cls, text: str) -> str:
        return _one_of(text, ("yes", "no")) if text else ""

    @field_validator("scope")
    @classmethod
    def _scope(cls, text: str) -> str:
        for word in [] if text == NO_PLACE else _words(text):
            key, equals, value = word.partition("=")
            if key not in SCOPE_KEYS or not equals or not value:
                raise ValueError(f"{word[:40]!r} is no key=value of {', '.join(SCOPE_KEYS)}")
        return text

    @field_validator("cause")
    @classmethod
    def _cause(cls, text: str, info: ValidationInfo) -> str:
        known = {name: one.id for one in causes.CAUSES for name in one.also}
        said = [_one_of(known.get(word, word), causes.BY_ID) for word in _words(text)]
        said = list(dict.fromkeys(said))
        for word in ALONE if len(said) > 1 else ():
            if word in said:
                raise ValueError(f"{word} stands alone, not beside a cause")
        wrong = info.data.get("wrong")
        if said and wrong == "no" and said != ["none"]:
            raise ValueError("with nothing wrong there is no cause; leave it out, or wrong is yes")
        if said == ["none"] and wrong == "yes":
            raise ValueError("something is wrong, so the cause is not none; or wrong is no")
        return ", ".join(said)

    @field_validator("do")
    @classmethod
    def _do(cls, text: str) -> str:
        for word in _words(text):
            _one_of(word, WORDS)
        return text

    @property
    def labels(self) -> dict[str, str]:
        """The claimed scope; reasons by their canonical names."""
        found = dict(word.split("=", 1) for word in _words(self.scope) if word != NO_PLACE)
        if "reason" in found:
            found["reason"] = reasons.canonical(found["reason"])
        return found

    @property
    def causes(self) -> tuple[str, ...]:
        """The causes that are said, each once; whoever sees nothing wrong says `none`."""
        return tuple(_words(self.cause)) or (("none",) if self.wrong == "no" else ())

    @property
    def action(self) -> str:
        """What to do first, empty when not answered."""
        words = _words(self.do)
        return words[0] if words else ""

    @property
    def replays(self) -> bool:
        """Whether rows are to be replayed in the end."""
        return REPLAY in _words(self.do)

    @property
    def pointers(self) -> tuple[str, ...]:
        """What is said to show it, each once."""
        return tuple(dict.fromkeys(_POINTER.findall(self.because)))

    @property
    def lacks(self) -> tuple[str, ...]:
        """Questions that must still be answered; who sees nothing wrong need not say where."""
        needed = ("wrong", "sure") if self.wrong == "no" else tuple(ASKED)
        return tuple(name for name in needed if getattr(self, name) in ("", None))

    def table(self) -> Table:
        """The answers, for reading."""
        rows = tuple((name, str(value)) for name, value in self if value not in ("", None))
        return Table(id="answers", title="Your answers", columns=("what", "answer"), rows=rows)

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamped:
    """Answers as they stood at one moment: seconds since the clock started."""

    after_s: float
    answers: Answers


def read_answers(path: Path) -> Answers:
    """Answers from a JSON file.

    Raises:
        UsageError: it is no such file; says which answer is not understood.
    """
    try:
        return answers_from(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError):
        raise UsageError(
            f"{path.name} is no JSON file of answers.",
            hint=f"Write an object with {', '.join(Answers.model_fields)}.",
        ) from None


def answers_from(content: object) -> Answers:
    """Answers from what JSON held.

    Raises:
        UsageError: says which answer is not understood.
    """
    try:
        return Answers.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answers"
        says = first["msg"].removeprefix("Value error, ")
        question = ASKED.get(where, "").partition("?")[0]
        hint = f"{question}?" if question else f"Answers are {', '.join(Answers.model_fields)}."
        raise UsageError(
            f"{where}: {says}.",
            hint=hint,
        ) from None


def _one_of(word: str, words: Collection[str]) -> str:
    """That word, when it is one of these."""
    if word not in words:
        raise ValueError(f"{word[:40]!r} is none of {', '.join(words)}")
    return word


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()
