"""An XMPP client by script: slixmpp, a library that people's clients are built on. Runs on a host of the lab.

    xmpp_client.py send   JID PASSWORD TO TEXT  [--clear | --ca FILE]   sends TEXT, waits for an answer, ends
    xmpp_client.py answer JID PASSWORD TEXT     [--clear | --ca FILE]   waits for a message, answers with TEXT, ends
"""

import argparse
import asyncio
import sys
from pathlib import Path

import slixmpp


class Client(slixmpp.ClientXMPP):
    """Logs in, says that it is there, sends or answers one message, logs out."""

    def __init__(self, args):
        # PLAIN is what a server with hashed passwords often leaves as the only way.
        super().__init__(args.jid, args.password, plugin_config={
            "feature_mechanisms": {"use_mech": "PLAIN", "unencrypted_plain": args.clear},
        })
        self.args, self.failed = args, "no message came"
        self.add_event_handler("session_start", self.begin)
        self.add_event_handler("message", self.message)
        self.add_event_handler("failed_auth", lambda _e: self.give_up("the server refused the password"))
        if args.ca:
            self.ca_certs = Path(args.ca)

    async def begin(self, _event):
        self.send_presence()
        await self.get_roster()
        print("ready", flush=True)
        if self.args.what == "send":
            self.send_message(mto=self.args.to, mbody=self.args.text, mtype="chat")

    async def message(self, stanza):
        if stanza["type"] not in ("chat", "normal") or not stanza["body"]:
            return
        if self.args.what == "answer":
            self.send_message(mto=stanza["from"], mbody=self.args.text, mtype="chat")
            await asyncio.sleep(0.3)
        self.give_up(None)

    def give_up(self, why):
        self.failed = why
        self.disconnect()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["send", "answer"])
    parser.add_argument("jid")
    parser.add_argument("password")
    parser.add_argument("rest", nargs="+")
    parser.add_argument("--clear", action="store_true")
    parser.add_argument("--ca")
    args = parser.parse_args()
    args.to, args.text = (args.rest if args.what == "send" else [None, *args.rest])
    client = Client(args)
    client.connect(force_starttls=not args.clear, disable_starttls=args.clear)
    loop = asyncio.get_event_loop()
    loop.run_until_complete(asyncio.wait_for(client.disconnected, 20))
    if client.failed:
        sys.exit(client.failed)


main()
