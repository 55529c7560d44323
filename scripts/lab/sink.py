"""A host that takes connections, reads, and never answers: enough for a client's first flight. Runs on a host of the lab.

    sink.py ADDRESS PORT…
"""

import asyncio
import sys


async def swallow(reader, writer):
    """Reads until the client goes away, or for a second."""
    try:
        await asyncio.wait_for(reader.read(-1), 1)
    except (asyncio.TimeoutError, ConnectionError):
        pass
    writer.close()


async def main():
    for port in sys.argv[2:]:
        await asyncio.start_server(swallow, sys.argv[1], int(port))
    print("ready", flush=True)
    await asyncio.sleep(600)


asyncio.run(main())
