"""Which cause do the facts name? A decision list, asked again for what remains unexplained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from loomtriage.analysis.causes import elastic_rules as elastic
from loomtriage.analysis.causes import pipeline_rules as pipeline
from loomtriage.analysis.causes.conclusion import Conclusion
from loomtriage.analysis.causes.facts import Facts

Rule = Callable[[Facts], Conclusion | None]
Ask = Callable[[Rule, Facts], Conclusion | None]

RULES: tuple[Rule, ...] = (
    elastic.es_down,
    elastic.es_slow,
    elastic.answers_lost,
    elastic.es_429,
    elastic.es_5xx,
    elastic.write_block,
    elastic.bulk_partial,
    elastic.poison,
    elastic.projection_code,
    elastic.shared_dependency,
    pipeline.contention,
    pipeline.stuck,
    pipeline.duplicates,
    pipeline.version,
    pipeline.collector,
)


def plainly(rule: Rule, facts: Facts) -> Conclusion | None:
    """Ask a rule, and let it raise."""
    return rule(facts)


def decide(facts: Facts, *, ask: Ask = plainly) -> tuple[Conclusion, ...]:
    """Every cause, the one that explains most first; empty when no rule fires.

    Greedy: what the first cause explains is taken away, and what remains is asked again.
    `ask` puts the facts to one rule: whoever must go on when a rule breaks catches it there.
    """
    found: list[Conclusion] = []
    rest = facts
    while True:
        fired = [c for rule in RULES if (c := ask(rule, rest)) is not None]
        new = [c for c in fired if c.cause not in {known.cause for known in found}]
        if not new:
            return tuple(found)
        best = min(new, key=lambda c: (not c.strong, c.aside, -c.weight))
        found.append(best)
        rest = _without(rest, best.explains)


def _without(facts: Facts, explained: tuple[str, ...]) -> Facts:
    return replace(
        facts,
        blames=tuple(b for b in facts.blames if b.reason not in explained),
        extra={name: counts for name, counts in facts.extra.items() if name not in explained},
    )
