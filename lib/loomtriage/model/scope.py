"""Scope: the low-cardinality filter that each stage narrows and none widens."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from loomtriage.errors import UsageError


def escape_label_value(value: str) -> str:
    r"""Quote a PromQL label value: backslash, double quote and newline are escaped."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What the triage is looking at; an empty string means "not narrowed".

    Attributes:
        env: deployment environment (`dev`, `test`, `sandbox`).
        projection: full name of the outbox consumer.
        op: outbox operation (`upsert`, `delete`).
        reason: canonical reason of the closed enum.
        result: `ok`, `retry`, `failed` or `partial`.
    """

    env: str = ""
    projection: str = ""
    op: str = ""
    reason: str = ""
    result: str = ""

    def narrow(self, **keys: str) -> Scope:
        """A scope with more keys set.

        Raises:
            UsageError: a key is unknown, or already set to another value (that would widen).
        """
        known = {f.name for f in fields(self)}
        merged = asdict(self)
        for key, value in keys.items():
            if key not in known:
                raise UsageError(
                    f"Scope has no key {key!r}.", hint=f"Keys are {', '.join(sorted(known))}."
                )
            if merged[key] and value and merged[key] != value:
                raise UsageError(
                    f"Scope key {key} is already {merged[key]!r}, not {value!r}.",
                    hint="A stage may narrow the scope, never widen it.",
                )
            merged[key] = value or merged[key]
        return Scope(**merged)

    def as_json(self) -> dict[str, str]:
        """All five keys; empty text where not narrowed."""
        return asdict(self)

    def selector(self, *names: str) -> str:
        """PromQL matchers for the keys that are set (and in `names`, when given), sorted.

        This is the one place where a value enters PromQL.
        """
        pairs = sorted((k, v) for k, v in asdict(self).items() if v and (not names or k in names))
        return ",".join(f'{key}="{escape_label_value(value)}"' for key, value in pairs)

    def __str__(self) -> str:
        pairs = [f"{k}={v}" for k, v in asdict(self).items() if v]
        return " ".join(pairs) or "everything"
