"""Which cause do the facts name? A decision list, asked again for what remains unexplained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from loomtriage.analysis import elastic_rules as elastic
from loomtriage.analysis import pipeline_rules as pipeline
from loomtriage.analysis.conclusion import Conclusion
from loomtriage.analysis.facts import Facts

Rule = Callable[[Facts], Conclusion | None]

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


def decide(facts: Facts) -> tuple[Conclusion, ...]:
    """Every cause, the one that explains most first; empty when no rule fires.

    Greedy: what the first cause explains is taken away, and what remains is asked again.
    """
    found: list[Conclusion] = []
    rest = facts
    while True:
        fired = [c for rule in RULES if (c := rule(rest)) is not None]
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
