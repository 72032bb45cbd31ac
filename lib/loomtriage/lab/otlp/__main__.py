"""OTLP as a process: `python -m loomtriage.lab.otlp` with its three ports and LAB_DATA."""

from __future__ import annotations

import os
from pathlib import Path

from loomtriage.errors import UsageError
from loomtriage.lab.otlp.receiver import serve_all
from loomtriage.lab.otlp.spanstore import SpanStore
from loomtriage.lab.serving import run


async def _main() -> None:
    folder = os.environ.get("LAB_DATA", "")
    if not folder:
        raise UsageError(
            "The trace collector has no LAB_DATA folder.",
            hint="Start the lab with `loomtriage lab up`, which sets it.",
        )
    store = SpanStore(Path(folder))
    try:
        await serve_all(store)
    finally:
        store.close()


if __name__ == "__main__":
    run("otlp", _main)
