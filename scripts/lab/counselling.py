"""A STAND-IN for a browser counselling service: an account without e-mail and a chat over a WebSocket, behind TLS. It is nobody's product.

    counselling.py serve ADDRESS CERTIFICATE KEY [--plant]    the service on ports 443 and 80, where 80 only leads to 443
    counselling.py tracker ADDRESS CERTIFICATE KEY            a third party that counts visits: the planted tracker, port 443
    counselling.py search ADDRESS                             an old search for advice centres: the planted clear text, port 80 only

Each says `ready`. With --plant the page loads a picture of the tracker's, which tells it who visits what, and its search leads to the old
one, which asks in clear: what an auditor has to find. Without it, the page speaks to nobody but the service. Standard library only.
"""

import asyncio
import base64
import hashlib
import json
import secrets
import ssl
import struct
import sys
from urllib.parse import parse_qs, urlsplit

SITE, SEARCH = "beratung.example", "suche.example"  # typos: off, German names
# A counter is known by its domain, so the planted one has a name below one of the list of trackers. Nobody is asked: the lab answers it itself.
TRACKER = "metaleak-lab.matomo.cloud"
MOST = 64 * 1024  # bytes of a head, a body, a message
ANSWER = "Counsellor: thank you for writing. I have read: "

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Counselling (stand-in of a lab)</title>
<link rel="icon" href="data:,">
<h1>Counselling: a stand-in of a lab</h1>
<form id="account"><input id="name" autocomplete="off"><input id="password" type="password" autocomplete="off"><button id="register">Register</button></form>
<p id="state">not registered</p>
<div id="chat" hidden><input id="text" autocomplete="off"><button id="send">Send</button><pre id="log"></pre></div>
<form id="find" action="%(search)s" method="get"><input id="topic" name="topic" autocomplete="off"><button id="search">Search</button></form>
<script>
const $ = id => document.getElementById(id);
$('account').onsubmit = async event => {
  event.preventDefault();
  const sent = { name: $('name').value, password: $('password').value };
  const answer = await fetch('/api/account', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(sent) });
  $('state').textContent = answer.ok ? 'registered' : 'refused: ' + answer.status;
  if (!answer.ok) return;
  const socket = new WebSocket('wss://' + location.host + '/chat');
  socket.onopen = () => { $('chat').hidden = false; };
  socket.onmessage = message => { $('log').textContent += message.data + '\\n'; };
  socket.onclose = () => { $('state').textContent = 'the chat is over'; };
  $('send').onclick = () => { socket.send($('text').value); $('text').value = ''; };
};
// A form that leads from a page over TLS to one without is warned of by browsers; a plain change of the page is not.
$('find').onsubmit = event => { event.preventDefault(); location.href = $('find').action + '?topic=' + encodeURIComponent($('topic').value); };
</script>
%(planted)s
"""
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


class Broken(Exception):
    """What a client sent is no request that this service reads."""


async def request(reader):
    """One request of HTTP/1.1 (RFC 9112): method, target, headers, body; None where the client has left."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    try:
        method, target, _version = first.split(" ")
        headers = {name.strip().lower(): value.strip() for name, value in (line.split(":", 1) for line in lines if line)}
        length = int(headers.get("content-length", "0"))
    except ValueError as error:
        raise Broken(first) from error
    if not 0 <= length <= MOST:
        raise Broken("length")
    return method, urlsplit(target), headers, await reader.readexactly(length)


def response(status, body=b"", kind="text/html; charset=utf-8", **more):
    """An answer of HTTP/1.1."""
    headers = {"Content-Type": kind, "Content-Length": len(body), "Cache-Control": "no-store", **{k.replace("_", "-"): v for k, v in more.items()}}
    return f"HTTP/1.1 {status}\r\n".encode() + "".join(f"{k}: {v}\r\n" for k, v in headers.items()).encode() + b"\r\n" + body


async def message(reader):
    """One text message of a WebSocket (RFC 6455 section 5.2), unmasked; None at its end. Fragments are not taken: browsers send short texts whole."""
    while True:
        first, second = await reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", await reader.readexactly(2))
        if not second & 0x80 or length > MOST:
            raise Broken("frame")
        mask = await reader.readexactly(4)
        body = bytes(b ^ mask[n % 4] for n, b in enumerate(await reader.readexactly(length)))
        if first & 0x0F == 8:
            return None
        if first == 0x81:
            return body.decode("utf-8", "replace")


def frame(text):
    """A text message of a server's."""
    body = text.encode()
    return b"\x81" + (bytes([len(body)]) if len(body) < 126 else b"\x7e" + struct.pack(">H", len(body))) + body


class Service:
    """The accounts and who is logged in; all of it is gone with the program."""

    def __init__(self, plant):
        self.accounts, self.sessions, self.plant = {}, {}, plant

    def page(self):
        planted = f'<img src="https://{TRACKER}/pixel.gif?page=/counselling&amp;visitor={secrets.token_hex(8)}" alt="">' if self.plant else ""
        search = f"http://{SEARCH}/search" if self.plant else "/search"
        return (PAGE % {"search": search, "planted": planted}).encode()

    def account(self, body):
        try:
            asked = json.loads(body)
            name, password = asked["name"], asked["password"]
        except (ValueError, KeyError, TypeError):
            return response("400 Bad Request")
        if not (isinstance(name, str) and isinstance(password, str) and name and password) or name in self.accounts:
            return response("409 Conflict")
        salt = secrets.token_bytes(16)
        self.accounts[name] = (salt, hashlib.scrypt(password.encode(), salt=salt, n=2**12, r=8, p=1))
        session = secrets.token_hex(16)
        self.sessions[session] = name
        return response("201 Created", b'{"ok":true}', "application/json", Set_Cookie=f"session={session}; HttpOnly; Secure; SameSite=Strict; Path=/")

    def name_of(self, headers):
        cookies = dict(part.strip().split("=", 1) for part in headers.get("cookie", "").split(";") if "=" in part)
        return self.sessions.get(cookies.get("session"))

    async def talk(self, reader, writer, headers):
        digest = hashlib.sha1((headers.get("sec-websocket-key", "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        writer.write(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n\r\n".encode())
        while (said := await message(reader)) is not None:
            writer.write(frame(ANSWER + said))
            await writer.drain()
        writer.write(b"\x88\x00")

    async def answer(self, reader, writer, method, target, headers, body):
        if (method, target.path) == ("GET", "/"):
            writer.write(response("200 OK", self.page()))
        elif (method, target.path) == ("POST", "/api/account"):
            writer.write(self.account(body))
        elif (method, target.path) == ("GET", "/search"):
            writer.write(found(target))
        elif (method, target.path) == ("GET", "/chat") and headers.get("upgrade", "").lower() == "websocket" and self.name_of(headers):
            await self.talk(reader, writer, headers)
            return False
        else:
            writer.write(response("404 Not Found"))
        return True


def found(target):
    """The search's answer: how many centres there are, without what was asked."""
    return response("200 OK", b"<!doctype html><title>Search</title><p id=\"found\">3 advice centres of the lab</p>"
                    if parse_qs(target.query).get("topic") else b"<!doctype html><p>nothing asked</p>")


async def tracker(_reader, writer, _method, _target, _headers, _body):
    """A picture of one pixel and a cookie that comes back from every page that shows it."""
    cookie = f"visitor={secrets.token_hex(8)}; Secure; SameSite=None; Max-Age=31536000"
    writer.write(response("200 OK", PIXEL, "image/gif", Set_Cookie=cookie))
    return True


async def search(_reader, writer, _method, target, _headers, _body):
    """The old search, in clear."""
    writer.write(found(target))
    return True


async def to_tls(_reader, writer, _method, target, _headers, _body):
    """Port 80 of the service leads to port 443."""
    writer.write(response("301 Moved Permanently", Location=f"https://{SITE}{target.path}"))
    return True


def serve(answer):
    """What is done with a connection: its requests one after the other, a minute each."""
    async def met(reader, writer):
        try:
            while True:
                asked = await asyncio.wait_for(request(reader), 60)
                if asked is None or not await asyncio.wait_for(answer(reader, writer, *asked), 600):
                    break
                await writer.drain()
        except Broken:
            writer.write(response("400 Bad Request"))
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError):
            pass  # the client has left, or takes too long
        writer.close()
    return met


async def main(what, address, *rest):
    tls = None
    if what != "search":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(rest[0], rest[1])
    answer = {"serve": Service("--plant" in rest).answer, "tracker": tracker, "search": search}[what]
    await asyncio.start_server(serve(answer), address, 443 if tls else 80, ssl=tls, limit=MOST)
    if what == "serve":
        await asyncio.start_server(serve(to_tls), address, 80, limit=MOST)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
