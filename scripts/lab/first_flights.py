"""What third-party client libraries send first to a server, for protocols whose own clients need a phone.

    first_flights.py telegram ADDRESS PORT NAME   one of Telethon's transports: abridged, full, intermediate, padded, obfuscated
    first_flights.py whatsapp ADDRESS PORT        consonance's Noise hello after WhatsApp's preface

The server never answers, so both end with a failed handshake; that is what is wanted here. Any other failure is told.
"""

import asyncio
import os
import socket
import struct
import sys

# consonance's messages were generated for an older protobuf, which only the pure Python implementation still reads.
os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"


def telegram(address, port, transport):
    from telethon import TelegramClient, network
    from telethon.network.connection.tcpintermediate import RandomizedIntermediatePacketCodec
    from telethon.sessions import MemorySession

    # Telethon has the padded packets only for its proxies, behind an obfuscated mark; here they come with the documented mark in clear.
    codec = type("PaddedCodec", (RandomizedIntermediatePacketCodec,), {"tag": b"\xdd" * 4})
    padded = type("ConnectionTcpPadded", (network.ConnectionTcpIntermediate,), {"packet_codec": codec})

    async def connect():
        session = MemorySession()
        session.set_dc(2, address, port)
        kind = padded if transport == "padded" else getattr(network, "ConnectionTcp" + transport.capitalize())
        client = TelegramClient(session, 1, "none", connection=kind, connection_retries=0, timeout=2)
        try:
            await asyncio.wait_for(client.connect(), 0.6)
        except (asyncio.TimeoutError, ConnectionError, EOFError):
            pass  # nobody answers
        finally:
            await client.disconnect()

    asyncio.run(connect())


def whatsapp(address, port):
    from consonance.config.client import ClientConfig
    from consonance.config.templates.useragent_vbox import VBoxUserAgentConfig
    from consonance.exceptions.handshake_failed_exception import HandshakeFailedException
    from consonance.protocol import WANoiseProtocol
    from consonance.streams.arbitrary.arbitrary_socket import SocketArbitraryStream
    from consonance.streams.segmented.wa import WASegmentedStream
    from consonance.structs.keypair import KeyPair

    connection = socket.create_connection((address, port), 5)
    # The preface is the caller's part; version and dictionary as CLAIMS of the project has them (WhatsApp, wire format).
    connection.sendall(b"WA\x06\x03")
    config = ClientConfig(username=1, passive=True, useragent=VBoxUserAgentConfig("2.25.1", "0"), pushname="client")
    try:
        WANoiseProtocol(6, 3).start(WASegmentedStream(SocketArbitraryStream(connection)), config, KeyPair.generate())
    except (struct.error, HandshakeFailedException):
        pass  # nobody answers: the library meets the end of the stream
    connection.close()


if __name__ == "__main__":
    what, where, number, *rest = sys.argv[1:]
    {"telegram": telegram, "whatsapp": whatsapp}[what](where, int(number), *rest)
