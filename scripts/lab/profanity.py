"""XMPP with a client of people: Profanity in a terminal of its own (tmux), against Prosody.

`Terminal` types commands as a person would and waits for what comes back. Two of them write to each other: `client`, whose traffic is
recorded, and `counsellor` on the server's own host.
"""

import subprocess
import time
from pathlib import Path

from . import servers
from .net import LabError, call

IDLE = 5  # seconds in which nobody types


class Terminal:
    """Profanity in tmux on a host of the lab, with a home of its own, while the `with` block runs."""

    def __init__(self, lab, host, folder, certs=Path()):
        self.lab, self.host, self.home = lab, host, folder
        self.socket = folder / "tmux.socket"
        self.environment = {"HOME": str(folder), "XDG_CONFIG_HOME": f"{folder}/config", "XDG_DATA_HOME": f"{folder}/data", "TERM": "xterm",
                            "LANG": "C.UTF-8", "GNUPGHOME": f"{folder}/gnupg", "SSL_CERT_FILE": str(certs / "ca.pem")}

    def __enter__(self):
        self.home.mkdir(mode=0o700)
        self.tmux = self.lab.start(self.host, "tmux", "-S", self.socket, "-f", "/dev/null", "-D", log=self.home / "tmux.log", env=self.environment)
        for _ in range(50):
            if self.socket.exists():
                break
            time.sleep(0.1)
        self.begin()
        return self

    def begin(self):
        """Starts the client."""
        self._ask("new-session", "-d", "-x", "160", "-y", "50", "-s", "person", "profanity", "-l", "DEBUG")
        for _ in range(100):
            if "Type /help for help" in self._ask("capture-pane", "-p", "-t", "person"):
                return
            time.sleep(0.1)
        raise LabError("Profanity does not start")

    def again(self):
        """Ends the client and starts it anew: after a sign-up, version 0.13 speaks to the server as if it were logged in already."""
        self.say("/quit")
        for _ in range(50):
            if subprocess.run(["tmux", "-S", str(self.socket), "has-session", "-t", "person"], capture_output=True).returncode != 0:
                return self.begin()
            time.sleep(0.1)
        raise LabError("Profanity does not end")

    def __exit__(self, *_exc):
        self.lab.stop(self.tmux)  # its programs lose their terminal, and end

    def _ask(self, *argv):
        done = subprocess.run(["tmux", "-S", str(self.socket), *argv], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise LabError(f"tmux {argv[0]}: {done.stderr.strip()}")
        return done.stdout

    def say(self, line):
        """Types a line."""
        self._ask("send-keys", "-t", "person", "-l", line)
        self._ask("send-keys", "-t", "person", "Enter")
        time.sleep(0.3)

    def heard(self):
        """What the client has written into its log, and what the terminal shows."""
        logs = "".join(f.read_text(errors="replace") for f in self.home.glob("data/profanity/logs/profanity*.log"))
        return logs + self._ask("capture-pane", "-p", "-t", "person")

    def wait(self, text, seconds=15, times=1):
        """Waits until the client has shown or logged a text."""
        for _ in range(seconds * 10):
            heard = self.heard()
            if heard.count(text) >= times:
                return
            time.sleep(0.1)
        raise LabError(f"Profanity never said {text!r}: {[line for line in heard.splitlines() if line.strip()][-40:]}")


def log_in(person, name, password, tls):
    """Connects and logs in."""
    person.say(f"/connect {name}@{servers.XMPP_NAME} server {servers.XMPP_NAME} port 5222 tls {tls}")
    person.wait("Enter password")
    person.say(password)
    person.wait("logged in successfully")


def sign_up(person, password):
    """Makes the account `client` from within the client: a name and a password are all that is asked for (XEP-0077)."""
    person.say(f"/register client {servers.XMPP_NAME} port 5222 tls force")
    person.wait("Enter password")
    person.say(password)
    person.wait("Confirm password")
    person.say(password)
    person.wait("egistration success")  # typos: off, with or without a capital
    person.again()


# Without a list of devices on the server, version 0.13 publishes none with its keys, and nobody finds them: an empty one comes first (XEP-0384 0.3.0).
DEVICES = ("<iq type='set' id='devices'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='eu.siacs.conversations.axolotl.devicelist'>"
           "<item id='current'><list xmlns='eu.siacs.conversations.axolotl'/></item></publish><publish-options><x xmlns='jabber:x:data' type='submit'>"
           "<field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>"
           "<field var='pubsub#access_model'><value>open</value></field></x></publish-options></pubsub></iq>")


def make_keys(person):
    """Keys of OMEMO, where others find them."""
    person.say("/xmlconsole")
    person.say(DEVICES)
    person.wait('id="devices"')
    time.sleep(0.5)
    person.say("/close")
    person.say("/omemo gen")
    person.wait("bundle published successfully", 60)
    person.wait("OMEMO crytographic materials generated")  # typos: off, its own spelling
    person.say("/omemo trustmode blind")
    time.sleep(1)


OTHER = f"counsellor@{servers.XMPP_NAME}"


def befriend(client, counsellor):
    """Puts the counsellor on the contact list, who agrees."""
    client.say(f"/roster add {OTHER} Counsellor")
    client.say(f"/sub request {OTHER}")
    counsellor.wait("uthorization request")
    counsellor.say(f"/sub allow client@{servers.XMPP_NAME}")


def converse(client, counsellor, canaries):
    """A message, and an answer."""
    client.say(f"/msg {OTHER} {canaries['message']}")
    counsellor.wait(canaries["message"])
    counsellor.say(f"/msg client@{servers.XMPP_NAME} {canaries['answer']}")
    client.wait(canaries["answer"])


def seal(client, counsellor, canaries):
    """A message with OMEMO."""
    make_keys(client)
    client.say(f"/omemo start {OTHER}")
    time.sleep(1)
    client.say(f"/msg {OTHER} {canaries['sealed']}")
    counsellor.wait(canaries["sealed"])
    # The client's own word for what it sent (XEP-0384 0.3.0): the message is to be in no other form on the wire.
    client.wait('<encrypted xmlns="eu.siacs.conversations.axolotl"')


def share(client, counsellor, file):
    """Uploads a file to the server over HTTPS and sends its address (XEP-0363, XEP-0066)."""
    client.say(f"/msg {OTHER}")
    client.say(f"/sendfile {file}")
    counsellor.wait("/file_share/", 30)


def trust_for_files(person, certs):
    """Profanity takes the authorities for uploads from a file of its own, which it makes when a person trusts a certificate by hand."""
    folder = person.home / "data" / "profanity" / "certs"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "CAfile.pem").write_bytes((certs / "ca.pem").read_bytes())


def gpg(person, *argv, **more):
    """GnuPG with a person's keys."""
    return call("gpg", "--homedir", person.home / "gnupg", "--batch", "--yes", *argv, timeout=60, **more)


def openpgp_keys(*people):
    """A key pair of OpenPGP for each, without a passphrase, and the others' public keys, as people exchange them beforehand; gives the keys' ids."""
    ids = []
    for person in people:
        (person.home / "gnupg").mkdir(mode=0o700)
        gpg(person, "--passphrase", "", "--quick-gen-key", f"{person.home.name}@{servers.XMPP_NAME}", "default", "default", "never")
        listed = gpg(person, "--with-colons", "--list-secret-keys")
        ids.append(next(row.split(":")[4] for row in listed.splitlines() if row.startswith("sec:")))
        gpg(person, "--output", person.home / "public.pgp", "--export")
    for person in people:
        for other in people:
            if other is not person:
                gpg(person, "--import", other.home / "public.pgp")
    return ids


def log_in_with_key(person, name, password, key):
    """Connects by an account of the client's own that has a key."""
    person.say("/account add lab")
    for what in (f"jid {name}@{servers.XMPP_NAME}", f"server {servers.XMPP_NAME}", "port 5222", "tls force", f"pgpkeyid {key}"):
        person.say(f"/account set lab {what}")
    person.say("/connect lab")
    person.wait("Enter password")
    person.say(password)
    person.wait("logged in successfully")


def seal_openpgp(client, counsellor, key, canaries):
    """A message with OpenPGP (XEP-0027)."""
    client.say(f"/msg {OTHER}")
    client.say("/omemo end")
    client.say(f"/pgp setkey {OTHER} {key}")
    client.say(f"/pgp start {OTHER}")
    client.say(f"/msg {OTHER} {canaries['pgp']}")
    # Both clients' own words: what went out, and that it was read. With a key that cannot be used this client sends the text as it is.
    client.wait('<x xmlns="jabber:x:encrypted"')
    counsellor.wait("GPG: Decrypted message for recipients: counsellor@")


def counsellor_there(counsellor):
    """The counsellor is logged in and has keys."""
    log_in(counsellor, "counsellor", "not-in-this-capture", "force")
    make_keys(counsellor)


def talk(lab, folder, certs, canaries, clear):
    """Registers without a number (with TLS), logs in, adds a contact, writes and is answered, writes once more with OMEMO, does nothing for a while."""
    # Without TLS this client gives up in the middle of a sign-up, so the account is there before.
    accounts = {"counsellor": "not-in-this-capture", **({"client": canaries["password"]} if clear else {})}
    server = servers.prosody(lab, folder / "prosody", certs, accounts, encryption_required=not clear, people=True)
    with Terminal(lab, "server", folder / "counsellor", certs) as counsellor, Terminal(lab, "client", folder / "client", certs) as client:
        counsellor_there(counsellor)
        yield
        if not clear:
            yield "register"
            sign_up(client, canaries["password"])
        log_in(client, "client", canaries["password"], "disable" if clear else "force")
        yield "contact-sync"
        befriend(client, counsellor)
        yield "text-1to1"
        converse(client, counsellor, canaries)
        seal(client, counsellor, canaries)
        yield "idle"
        time.sleep(IDLE)
    lab.stop(server)


def starttls(lab, folder, certs, canaries):
    """The server requires encryption."""
    yield from talk(lab, folder, certs, canaries, clear=False)


def without_tls(lab, folder, certs, canaries):
    """The person has switched encryption off; OMEMO is what is left."""
    yield from talk(lab, folder, certs, canaries, clear=True)
