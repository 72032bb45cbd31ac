"""Terms: what do the words and numbers of a report mean, in a sentence each?"""

from __future__ import annotations

TERMS: tuple[tuple[str, str], ...] = (
    ("n", "how many things a value was taken from: its sample size"),
    ("row, attempt, call", "a row may be tried more than once, and each attempt may make calls"),
    ("folded", "counted once for each row, however often it was tried"),
    ("exposure", "work of the window divided by that of the baseline; what is expected follows it"),
    ("signed G²", "surprise of a count beside what is expected: above zero too many"),
    ("gate", "surprise that mere chance does not reach among as many comparisons"),
    ("robust z", "distance from the baseline's median, in units of its usual spread"),
    ("Cliff's δ", "how often a call takes longer than one of the baseline, -1 to 1"),
    ("coverage", "share of things that can be followed from one signal into the next"),
    ("residue", "rows that failed for good: only a replay moves them"),
)
"""Term and meaning, in the order in which a reader meets them."""
