"""A host with a certificate that takes TLS connections and says how each handshake ended, by name asked. Runs on a host of the lab.

    tls_host.py ADDRESS PORT CERTIFICATE KEY      says `ready`, then a line for each connection
"""

import socket
import ssl
import sys
import threading

address, port, certificate, key = sys.argv[1:5]


def meet(raw):
    """One handshake on a context of its own, which alone knows the name that was asked for."""
    asked = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    raw.settimeout(5)
    try:
        # In TLS 1.3 a client's refusal comes behind the server's own end of the handshake: with the first read.
        with context.wrap_socket(raw, server_side=True) as tls:
            said = "went on" if tls.recv(1) else "left without a word"
    except (OSError, ssl.SSLError) as error:
        said = f"refused: {getattr(error, 'reason', None) or error}"
    print(f"{(asked + ['no name'])[0]}: {said}", flush=True)


with socket.create_server((address, int(port))) as listener:
    print("ready", flush=True)
    while True:
        threading.Thread(target=meet, args=[listener.accept()[0]], daemon=True).start()
