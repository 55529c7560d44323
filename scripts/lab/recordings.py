"""The recordings: what each one is called, what is done in it, and what its bytes must and must not show.

To add one, write a function that does things on the client's host and add a `Recording` to `ALL`.
The canaries are made up; each stands in one recording's run file so that every later replay searches for it.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from . import libraries, servers
from .net import DNS, DNS6, MAIL, SINK, Lab, LabError, call

PYTHON = "/usr/bin/python3"  # Debian's own, which has Debian's modules
HERE = Path(__file__).parent


@dataclass
class Recording:
    """One capture of `captures/`."""

    file: str
    what: str
    make: Callable
    app: str
    packages: list
    messenger: str | None = None
    steps: list = field(default_factory=list)
    canaries: dict = field(default_factory=dict)
    # Bytes that must stand in the capture, and bytes that must not: the recorder's own check, without metaleak.
    shows: list = field(default_factory=list)
    hides: list = field(default_factory=list)
    nanoseconds: bool = False
    # Needs the third-party client libraries of requirements.txt, which a machine without a registry lacks.
    library: bool = False

    @property
    def name(self):
        """The file name without its endings: the stem of the files beside it."""
        return self.file.split(".pcap")[0]


def why_not(chosen):
    """The reason why the chosen recordings cannot be made here, or None."""
    missing = sorted({p for r in chosen for p in r.packages + ["wireshark-common", "zstd", "openssl"] if not installed(p)})
    return f"Debian packages missing: {', '.join(missing)} (scripts/setup.sh lab)" if missing else None


def installed(package):
    """True when dpkg knows the package as installed; False also where there is no dpkg."""
    try:
        return "installed" == call("dpkg-query", "-W", "-f", "${db:Status-Status}", package, check=False)
    except FileNotFoundError:
        return False


def versions(packages):
    """Names and versions of Debian packages, in words."""
    rows = call("dpkg-query", "-W", "-f", "${Package} ${Version}\\n", *packages).split("\n")
    return ", ".join(sorted(row for row in rows if row))


def curl(lab: Lab, certs, *argv, tls=True):
    """curl on the client's host, with the lab's authority; fails when curl does."""
    trust = ["--cacert", certs / "ca.pem"] if tls else []
    return lab.run("client", "curl", "--silent", "--show-error", "--fail", "--http1.1", *trust, *argv, "-o", "/dev/null")


def xmpp(lab, folder, certs, canaries, clear):
    """`client` logs in with PLAIN, writes to `counsellor` and gets an answer; the counsellor is on the server's own host."""
    accounts = {"client": canaries["password"], "counsellor": "not-in-this-capture"}
    server = servers.prosody(lab, folder / "prosody", certs, accounts, encryption_required=not clear)
    secure = ["--clear"] if clear else ["--ca", certs / "ca.pem"]
    script = HERE / "xmpp_client.py"
    other = lab.start("server", PYTHON, script, "answer", "counsellor@xmpp.example", accounts["counsellor"],
                      canaries["answer"], *secure, log=folder / "counsellor.log")
    wait_for(other, "ready")
    yield  # from here on it is recorded
    lab.run("client", PYTHON, script, "send", "client@xmpp.example", canaries["password"], "counsellor@xmpp.example",
            canaries["message"], *secure)
    lab.stop(other)
    lab.stop(server)


def wait_for(process, word):
    """Waits until a program has printed a word."""
    for _ in range(100):
        said = Path(process.log).read_text(errors="replace")
        if word in said:
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise LabError(f"{' '.join(process.args[4:])} never said {word!r}: {said[-1500:]}")


def xmpp_clear(lab, folder, certs, canaries):
    """Encryption is offered and declined."""
    yield from xmpp(lab, folder, certs, canaries, clear=True)


def xmpp_starttls(lab, folder, certs, canaries):
    """Encryption is required."""
    yield from xmpp(lab, folder, certs, canaries, clear=False)


def web_visit(lab, certs, site, canaries, *how):
    """Opens a page, logs in, writes a message, sends a file, as a counselling site in a browser would."""
    upload = certs / "upload.txt"
    upload.write_text(canaries["attachment"] + "\n" + "line of an attached file\n" * 400)
    curl(lab, certs, *how, f"https://{site}/page.html")
    curl(lab, certs, *how, "--data-urlencode", "username=client", "--data-urlencode", f"password={canaries['password']}",
         f"https://{site}/login", "--next", "--silent", "--show-error", "--fail", "--http1.1", "--cacert", certs / "ca.pem", *how,
         "--json", '{"text": "%s"}' % canaries["message"], "-o", "/dev/null", f"https://{site}/messages")
    curl(lab, certs, *how, "--form", f"file=@{upload}", f"https://{site}/messages")


def web_tls13(lab, folder, certs, canaries):
    """TLS 1.3 over IPv6, then once over IPv4."""
    web = servers.nginx(lab, folder, certs)
    yield
    web_visit(lab, certs, servers.WEB_NAME, canaries, "-6")
    curl(lab, certs, "-4", f"https://{servers.WEB_NAME}/page.html")
    lab.stop(web)


def web_tls12(lab, folder, certs, canaries):
    """TLS 1.2, where the certificates can be read."""
    web = servers.nginx(lab, folder, certs)
    yield
    web_visit(lab, certs, servers.OLD_NAME, canaries, "-4")
    lab.stop(web)


def http_clear(lab, folder, certs, canaries):
    """A password, a search word, a form and a cookie, all readable."""
    web = servers.nginx(lab, folder, certs)
    yield
    site = f"http://{servers.WEB_NAME}"
    user = ["-4", "--user", f"client:{canaries['password']}"]
    jar = folder / "cookies"
    curl(lab, certs, *user, "-G", "--data-urlencode", f"q={canaries['query']}", f"{site}/page.html", tls=False)
    curl(lab, certs, *user, "-c", jar, "-d", "", f"{site}/login", tls=False)
    curl(lab, certs, *user, "-b", jar, "--data-urlencode", f"text={canaries['message']}", f"{site}/messages", tls=False)
    curl(lab, certs, *user, "--compressed", f"{site}/page.html", tls=False)
    lab.stop(web)


def dns(lab, folder, certs, canaries):
    """The questions that a client asks, over UDP and TCP, IPv4 and IPv6, answered, empty, refused and cut short."""
    yield
    web, old = servers.WEB_NAME, servers.OLD_NAME
    questions = [
        (web, "A"), (web, "AAAA"), (f"online.{web}", "A"), (f"online.{web}", "AAAA", "+tcp"), (web, "HTTPS"),
        (web, "HTTPS", "+tcp"), (web, "MX"), (f"_xmpp-client._tcp.{servers.XMPP_NAME}", "SRV"), (f"short.{web}", "TXT"),
        (f"long.{web}", "TXT", "+noedns"),  # does not fit: cut short over UDP, asked again over TCP
        (f"{canaries['name']}.{web}", "A"), ("nothing.example", "AAAA", "+tcp"), (old.upper(), "A"), (old, "AAAA"),
        ("10.2.77.10.in-addr.arpa", "PTR"),
    ]
    for server in (DNS, DNS6):
        for question in questions:
            lab.run("client", "dig", f"@{server}", "+tries=1", "+time=3", *question)


def mail_clear(lab, folder, certs, canaries):
    """A mail is handed in with a login, the mailbox is opened over IMAP and POP3 with the same one."""
    box = servers.dovecot(lab, folder / "dovecot", canaries["password"])
    post = lab.start("server", PYTHON, HERE / "smtp_server.py", MAIL, 587, canaries["password"], log=folder / "smtp.log")
    wait_for(post, "ready")
    letter = folder / "letter"
    letter.write_text("From: client@mail.example\r\nTo: counsellor@mail.example\r\nSubject: appointment\r\n\r\n"
                      f"{canaries['message']}\r\n")
    yield
    site, user = servers.MAIL_NAME, ["-4", "--user", f"client:{canaries['password']}"]
    for mechanism in ("PLAIN", "LOGIN"):
        curl(lab, certs, *user, "--login-options", f"AUTH={mechanism}", "--mail-from", "client@mail.example",
             "--mail-rcpt", "counsellor@mail.example", "-T", letter, f"smtp://{site}:587/client.example", tls=False)
    curl(lab, certs, *user, "-T", letter, f"imap://{site}/INBOX", tls=False)
    curl(lab, certs, *user, f"pop3://{site}/1", tls=False)
    lab.run("client", PYTHON, HERE / "mail_client.py", site, "client", canaries["password"])
    lab.stop(post)
    lab.stop(box)


def sink(lab, folder, *ports):
    """A host that takes connections and never answers."""
    process = lab.start("server", PYTHON, HERE / "sink.py", SINK, *ports, log=folder / "sink.log")
    wait_for(process, "ready")
    return process


def telegram(lab, folder, certs, canaries):
    """Telethon's four transports, one connection each."""
    far = sink(lab, folder, 443)
    yield
    for transport in ("abridged", "full", "intermediate", "obfuscated"):
        lab.run("client", libraries.PYTHON, HERE / "first_flights.py", "telegram", SINK, 443, transport)
    lab.stop(far)


def whatsapp(lab, folder, certs, canaries):
    """The preface and consonance's Noise hello, on both chat ports."""
    far = sink(lab, folder, 5222, 443)
    yield
    for port in (5222, 443):
        lab.run("client", libraries.PYTHON, HERE / "first_flights.py", "whatsapp", SINK, port)
    lab.stop(far)


CLIENT_PROGRAM = "a stand-in by script, not the messenger's own app"

ALL = [
    Recording(
        "xmpp-clear.pcap", "XMPP without encryption: offered, declined; login with PLAIN, a message, an answer", xmpp_clear,
        f"slixmpp ({CLIENT_PROGRAM})", ["python3-slixmpp", "prosody", "dnsmasq-base", "tcpdump"],
        "conversations", ["text-1to1", "own-server"],
        {"password": "xmpp-canary-2098", "message": "canary of the clear message 3391", "answer": "canary of the clear answer 3392"},
        shows=["canary of the clear message 3391", "canary of the clear answer 3392", "<starttls"],
    ),
    Recording(
        "xmpp-starttls.pcapng", "The same conversation with STARTTLS", xmpp_starttls,
        f"slixmpp ({CLIENT_PROGRAM})", ["python3-slixmpp", "prosody", "dnsmasq-base", "tcpdump"],
        "conversations", ["text-1to1", "own-server"],
        {"password": "xmpp-canary-6104", "message": "canary of the covered message 6105", "answer": "canary of the covered answer 6106"},
        shows=["<proceed", "xmpp.example"], hides=["canary of the covered"],
    ),
    Recording(
        "beratung-tls13.pcapng.gz", "A counselling site's stand-in over TLS 1.3: page, login, message, file; name resolution before it", web_tls13,
        f"curl against a small web site ({CLIENT_PROGRAM})", ["curl", "nginx-light", "dnsmasq-base", "tcpdump"],
        "caritas", ["web-login", "text-1to1", "attach"],
        {"password": "web-canary-7301", "message": "canary of the web message 7302", "attachment": "canary of the attached file 7303"},
        shows=["beratung"], hides=["canary of the", "web-canary"],
    ),
    Recording(
        "beratung-tls12.pcap.gz", "The same site limited to TLS 1.2, where the certificates can be read", web_tls12,
        f"curl against a small web site ({CLIENT_PROGRAM})", ["curl", "nginx-light", "dnsmasq-base", "tcpdump"],
        "caritas", ["web-login", "text-1to1", "attach"],
        {"password": "web-canary-8301", "message": "canary of the old web message 8302", "attachment": "canary of the attached file 8303"},
        shows=["metaleak lab test authority", "alt.beratung.example"], hides=["canary of the", "web-canary"],
    ),
    Recording(
        "http-clear.pcap", "HTTP without encryption: a basic password, a search word, a form, a cookie, a gzip answer", http_clear,
        "curl", ["curl", "nginx-light", "dnsmasq-base", "tcpdump"],
        canaries={"password": "basic-canary-4417", "query": "query canary 4418", "message": "canary of the form 4419",
                  "cookie": "cookie-canary-5520"},
        shows=["Authorization: Basic ", "query+canary+4418", "cookie-canary-5520"],
    ),
    Recording(
        "dns.pcapng.zst", "Names asked over UDP and TCP, IPv4 and IPv6: A, AAAA, CNAME, HTTPS, MX, SRV, TXT, PTR, cut short, unknown", dns,
        "dig", ["bind9-dnsutils", "dnsmasq-base", "tcpdump"],
        canaries={"name": "canary-name-1177"}, shows=["canary-name-1177"], nanoseconds=True,
    ),
    Recording(
        "mail-clear.pcap.zst", "Mail without encryption: SMTP with AUTH PLAIN and LOGIN, IMAP and POP3 with passwords, a mail sent and read", mail_clear,
        "curl and Python's imaplib and poplib", ["curl", "python3", "dovecot-imapd", "dovecot-pop3d", "python3-aiosmtpd", "dnsmasq-base", "tcpdump"],
        canaries={"password": "mail-canary-9066", "message": "canary of the letter 9067"},
        shows=["AUTH PLAIN", "AUTHENTICATE PLAIN", "canary of the letter 9067", "mail-canary-9066"],
    ),
    Recording(
        "telegram-transports.pcap", "First flights of MTProto's transports abridged, full, intermediate, obfuscated to a silent host", telegram,
        "Telethon (a third party's client library, not Telegram's own)", ["tcpdump"], library=True,
    ),
    Recording(
        "whatsapp-hello.pcapng", "WhatsApp's preface and Noise hello to a silent host, ports 5222 and 443", whatsapp,
        "consonance (a third party's client library, not WhatsApp's own; the preface is the script's)", ["tcpdump"],
        shows=["WA\x06\x03"], library=True,
    ),
]
