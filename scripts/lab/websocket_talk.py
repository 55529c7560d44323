"""A conversation over a WebSocket without TLS, with permessage-deflate (RFC 7692) as the library offers it by itself.

    websocket_talk.py serve ADDRESS PORT ANSWER            says `ready`, answers the message `question` with the long ANSWER
    websocket_talk.py talk NAME PORT MESSAGE [FRAGMENT…]   sends one message whole, the fragments as another one, asks, says goodbye
"""

import asyncio
import sys

import websockets


async def serve(address, port, answer):
    """Until it is stopped."""

    async def room(socket, *_path):
        async for message in socket:
            await socket.send(answer if message == "question" else "noted")

    async with websockets.serve(room, address, int(port), subprotocols=["chat.example"]):
        print("ready", flush=True)
        await asyncio.Future()


async def talk(name, port, message, *fragments):
    """One visit."""
    where = f"ws://{name}:{port}/room?token=websocket-token-8121"
    async with websockets.connect(where, subprotocols=["chat.example"]) as socket:
        await socket.send(message)
        await socket.recv()
        await socket.send(list(fragments))
        await socket.recv()
        await socket.send("question")
        await socket.recv()
        await socket.send(bytes(range(64)))
        await socket.recv()
        await (await socket.ping())


if __name__ == "__main__":
    asyncio.run({"serve": serve, "talk": talk}[sys.argv[1]](*sys.argv[2:]))
