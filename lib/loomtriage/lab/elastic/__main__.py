"""Elastic as a process: `python -m loomtriage.lab.elastic` with LAB_PORT and LAB_TOKEN."""

from __future__ import annotations

import os

from loomtriage.lab.elastic.app import elastic_app
from loomtriage.lab.serving import Endpoint, env_port, run, serve


async def _main() -> None:
    app = elastic_app(os.environ.get("LAB_TOKEN", ""))
    await serve([Endpoint(app=app, port=env_port("LAB_PORT"))])


if __name__ == "__main__":
    run("elastic", _main)
