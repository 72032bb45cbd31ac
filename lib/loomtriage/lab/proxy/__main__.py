"""Proxy: the lab's fault proxy before Elasticsearch, transparent unless a drill says otherwise."""

from __future__ import annotations

import asyncio
import os

from loomtriage.errors import UsageError
from loomtriage.lab.proxy.admin import admin_app
from loomtriage.lab.proxy.desk import Desk
from loomtriage.lab.serving import Endpoint, env_port, run, serve


async def _main() -> None:
    token = os.environ.get("LAB_TOKEN", "")
    if not token:
        raise UsageError(
            "The fault proxy has no LAB_TOKEN.",
            hint="Start the lab with `loomtriage lab up`, which sets it.",
        )
    desk = Desk(
        lab_id=os.environ.get("LAB_ID", ""),
        listen_port=env_port("LAB_PORT"),
        target_port=env_port("LAB_TARGET_PORT"),
    )
    admin = Endpoint(app=admin_app(desk, token), port=env_port("LAB_ADMIN_PORT"))
    watching = asyncio.create_task(desk.watch())
    serving = asyncio.create_task(serve([admin]))
    try:
        # Without its watch the proxy could not heal: then it must not go on either.
        await asyncio.wait([watching, serving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        watching.cancel()
        serving.cancel()
        results = await asyncio.gather(watching, serving, return_exceptions=True)
        desk.close()
    for result in results:
        if isinstance(result, Exception):
            raise result


if __name__ == "__main__":
    run("proxy", _main)
