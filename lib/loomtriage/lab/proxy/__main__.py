"""Proxy: the lab's fault proxy, transparent unless a drill says otherwise.

It stands before Elasticsearch and, with LAB_OTLP_PORT, before the trace collector.
"""

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
    desks = [
        Desk("elastic", listen_port=env_port("LAB_PORT"), target_port=env_port("LAB_TARGET_PORT"))
    ]
    if "LAB_OTLP_PORT" in os.environ:
        desks.append(
            Desk(
                "otlp",
                listen_port=env_port("LAB_OTLP_PORT"),
                target_port=env_port("LAB_OTLP_TARGET_PORT"),
            )
        )
    app = admin_app(desks, lab_id=os.environ.get("LAB_ID", ""), token=token)
    admin = Endpoint(app=app, port=env_port("LAB_ADMIN_PORT"))
    tasks = [
        asyncio.create_task(serve([admin])),
        *(asyncio.create_task(desk.watch()) for desk in desks),
    ]
    try:
        # Without its watch the proxy could not heal: then it must not go on either.
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for desk in desks:
            desk.close()
    for result in results:
        if isinstance(result, Exception):
            raise result


if __name__ == "__main__":
    run("proxy", _main)
