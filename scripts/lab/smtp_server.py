"""A mail server that asks for a login, in clear, and throws away what it gets. Runs on a host of the lab.

    smtp_server.py ADDRESS PORT PASSWORD
"""

import sys
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


class Discard:
    """Takes every mail."""

    async def handle_DATA(self, _server, _session, _envelope):
        return "250 taken"


def allow(_server, _session, _envelope, _mechanism, login):
    """Only the one password opens."""
    return AuthResult(success=login.password.decode() == sys.argv[3])


server = Controller(Discard(), hostname=sys.argv[1], port=int(sys.argv[2]), authenticator=allow, auth_required=True,
                    auth_require_tls=False, server_hostname="mail.example")
server.start()
print("ready", flush=True)
time.sleep(600)
