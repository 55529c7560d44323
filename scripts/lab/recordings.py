"""The recordings: what each one is called, what is done in it, and what its bytes must and must not show.

To add one, write a function that does things on the client's host and add a `Recording` to `ALL`.
The canaries are made up; each stands in one recording's run file so that every later replay searches for it.
"""

import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from . import calls, counselling_visit, libraries, node, profanity, servers, vendors
from .net import DNS, DNS6, MAIL, SINK, STORE, WEB, Lab, LabError, call, wait_for

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
    # Needs the packages of package.json, of npm.
    node: bool = False
    # What the device was, and for a server that was chosen its name.
    device: str = "a network namespace on Linux"
    service: str | None = None
    # `without-app` or `idle-device`: a run in which nobody uses the app, to compare others with.
    control: str | None = None
    # The scene leaves keys.log in its folder; its secrets go into the capture (pcapng).
    keyed: bool = False

    def missing(self):
        """The reason why this one cannot be recorded here, or None."""
        packages = sorted({p for p in self.packages if not installed(p)})
        if packages:
            return f"Debian packages missing: {', '.join(packages)} (scripts/setup.sh lab)"
        return (libraries.why_not() if self.library else None) or (node.why_not() if self.node else None)

    def programs(self):
        """What was recorded, with versions, in words."""
        more = [libraries.versions()] if self.library else []
        more += [node.versions()] if self.node else []
        return ", ".join([versions(self.packages), *more])

    @property
    def name(self):
        """The file name without its endings: the stem of the files beside it."""
        return self.file.split(".pcap")[0]


def why_not():
    """The reason why nothing can be recorded here, or None."""
    missing = sorted({p for p in ("tcpdump", "dnsmasq-base", "wireshark-common", "zstd", "openssl") if not installed(p)})
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


def http2_clear(lab, folder, certs, canaries):
    """HTTP/2 by prior knowledge: a page in gzip, the same in brotli, a log-in, a message."""
    text = f"<!doctype html><title>Counselling</title><p>{canaries['page']}</p>\n" + "".join(f"<p>text {n}</p>\n" for n in range(400))
    web = servers.nginx_h2(lab, folder, text)
    yield
    site = f"http://{servers.WEB_NAME}"
    h2 = ["client", "curl", "--silent", "--show-error", "--fail", "--http2-prior-knowledge", "-4"]
    user = ["--user", f"client:{canaries['password']}"]
    for coding in ("gzip", "br"):
        lab.run(*h2, "-H", f"Accept-Encoding: {coding}", f"{site}/{coding}/page.html", "-o", "/dev/null")
    jar = folder / "cookies"
    lab.run(*h2, *user, "-c", jar, "-d", "", f"{site}/login", "-o", "/dev/null")
    lab.run(*h2, "-b", jar, "--data-urlencode", f"text={canaries['message']}", f"{site}/messages", "-o", "/dev/null")
    lab.stop(web)


def websocket(lab, folder, certs, canaries):
    """Messages over a WebSocket: whole, in fragments, compressed both ways, a ping, a goodbye."""
    script = HERE / "websocket_talk.py"
    room = lab.start("server", PYTHON, script, "serve", WEB, 80, canaries["answer"] + " and more of the same" * 40,
                     log=folder / "websocket.log")
    wait_for(room, "ready")
    yield
    half = len(canaries["fragments"]) // 2
    parts = [canaries["fragments"][:half], canaries["fragments"][half:]]
    lab.run("client", PYTHON, script, "talk", servers.WEB_NAME, 80, canaries["message"], *parts)
    lab.stop(room)


def postgres_tls(lab, folder, certs, canaries):
    """psql asks for TLS (SSLRequest), logs in and asks one question."""
    store = servers.postgres(lab, folder, certs, canaries["password"])
    yield
    lab.run("client", "psql", f"host={servers.STORE_NAME} dbname=postgres user=client password={canaries['password']} "
            f"sslmode=verify-full sslrootcert={certs}/ca.pem", "-c", f"SELECT '{canaries['query']}'")
    lab.stop(store, signal.SIGINT)


def mysql_tls(lab, folder, certs, canaries):
    """MariaDB's client asks for TLS in its handshake, logs in and asks one question."""
    store = servers.mariadb(lab, folder, certs, canaries["password"])
    yield
    lab.run("client", "mariadb", "--no-defaults", "-h", servers.STORE_NAME, "-u", "client", f"--password={canaries['password']}",
            f"--ssl-ca={certs}/ca.pem", "--ssl-verify-server-cert", "-e", f"SELECT '{canaries['query']}'")
    lab.stop(store)


def ldap_tls(lab, folder, certs, canaries):
    """ldapwhoami with StartTLS."""
    store = servers.openldap(lab, folder, certs, canaries["password"])
    yield
    lab.run("client", "env", f"LDAPTLS_CACERT={certs}/ca.pem", "ldapwhoami", "-x", "-ZZ", "-H", f"ldap://{servers.STORE_NAME}",
            "-D", "cn=client,dc=store,dc=example", "-w", canaries["password"])
    lab.stop(store)


def tor(lab, folder, certs, canaries):
    """A Tor client of a private network fetches a page over TLS 1.3; another one with TLS 1.2 connects; a directory is asked in clear."""
    (folder / "web").mkdir()
    (folder / "web" / "page.html").write_text(canaries["page"])
    page = lab.start("server", PYTHON, "-m", "http.server", "80", "--bind", WEB, "--directory", folder / "web", log=folder / "page.log")
    network, authority, consensus = servers.tor_network(lab, folder)
    yield
    client = servers.tor_client(lab, folder, "client", authority, "TLSv1.3")
    proxy = f"127.0.0.1:{servers.SOCKS_PORT}"
    for attempt in range(5):  # a circuit may end while the network is young
        try:
            lab.run("client", "curl", "--silent", "--show-error", "--fail", "-m", "20", "--socks5-hostname", proxy,
                    f"http://{WEB}/page.html", "-o", "/dev/null")
            break
        except LabError:
            if attempt == 4:
                raise
            time.sleep(2)
    lab.stop(client)
    lab.stop(servers.tor_client(lab, folder, "old-client", authority, "TLSv1.2"))
    curl(lab, certs, consensus, tls=False)
    for process in [*network, page]:
        lab.stop(process)


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


def telegram_padded(lab, folder, certs, canaries):
    """Telethon's padded packets with their mark in clear, three connections: each is padded otherwise."""
    far = sink(lab, folder, 443)
    yield
    for _ in range(3):
        lab.run("client", libraries.PYTHON, HERE / "first_flights.py", "telegram", SINK, 443, "padded")
    lab.stop(far)


def whatsapp(lab, folder, certs, canaries):
    """The preface and consonance's Noise hello, on both chat ports."""
    far = sink(lab, folder, 5222, 443)
    yield
    for port in (5222, 443):
        lab.run("client", libraries.PYTHON, HERE / "first_flights.py", "whatsapp", SINK, port)
    lab.stop(far)


CLIENT_PROGRAM = "a stand-in by script, not the messenger's own app"

# Recordings of one device can be compared with each other.
BROWSER = "a network namespace on Linux, with Chromium and a fresh profile"

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
        "http2-clear.pcapng", "HTTP/2 without TLS, by prior knowledge: a page in gzip and in brotli, a basic password, a cookie, a form", http2_clear,
        "curl", ["curl", "nginx-light", "libnginx-mod-http-brotli-filter", "dnsmasq-base", "tcpdump"],
        canaries={"page": "canary of the packed page 6518", "password": "basic-canary-6517", "message": "canary-of-the-form-6519",
                  "cookie": "cookie-canary-6520"},
        shows=["PRI * HTTP/2.0", "canary-of-the-form-6519"], hides=["canary of the packed page 6518"],
    ),
    Recording(
        "websocket-clear.pcapng", "A WebSocket without TLS: messages whole and in fragments, masked and compressed, a token in the target", websocket,
        "Python's websockets", ["python3", "python3-websockets", "dnsmasq-base", "tcpdump"],
        canaries={"message": "canary of the message 8118", "fragments": "canary of the two fragments 8119", "answer": "canary of the answer 8120"},
        shows=["permessage-deflate", "websocket-token-8121"], hides=["canary of the"],
    ),
    Recording(
        "postgres-starttls.pcap", "PostgreSQL: TLS asked for by SSLRequest, then a log-in and a question", postgres_tls,
        "psql", ["postgresql", "postgresql-client", "dnsmasq-base", "tcpdump"],
        canaries={"password": "store-canary-9211", "query": "canary of the question 9212"}, hides=["canary"],
    ),
    Recording(
        "mysql-starttls.pcap", "MariaDB: TLS asked for in the handshake, then a log-in and a question", mysql_tls,
        "MariaDB's client", ["mariadb-server", "mariadb-client", "dnsmasq-base", "tcpdump"],
        canaries={"password": "store-canary-9221", "query": "canary of the question 9222"}, shows=["MariaDB"], hides=["canary"],
    ),
    Recording(
        "ldap-starttls.pcap", "LDAP: StartTLS, then a simple bind", ldap_tls,
        "ldapwhoami", ["slapd", "ldap-utils", "dnsmasq-base", "tcpdump"],
        canaries={"password": "store-canary-9231"}, shows=["1.3.6.1.4.1.1466.20037"], hides=["canary"],
    ),
    Recording(
        "tor.pcapng.gz", "Tor in a network of its own: a page through three relays over TLS 1.3, a client with TLS 1.2, a directory in clear", tor,
        "Tor", ["tor", "curl", "python3", "dnsmasq-base", "tcpdump"],
        canaries={"page": "canary of the page behind relays 7741"}, shows=["/tor/status-vote/"], hides=["canary of the page"],
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
        "telegram-padded.pcap", "First flights of MTProto's padded intermediate transport to a silent host", telegram_padded,
        "Telethon (a third party's client library, not Telegram's own; its padded packets, the mark before them is the script's)", ["tcpdump"],
        library=True,
    ),
    Recording(
        "whatsapp-hello.pcapng", "WhatsApp's preface and Noise hello to a silent host, ports 5222 and 443", whatsapp,
        "consonance (a third party's client library, not WhatsApp's own; the preface is the script's)", ["tcpdump"],
        shows=["WA\x06\x03"], library=True,
    ),
    Recording(
        "telegram-desktop-first-contact.pcapng.gz",
        "First start of Telegram's own desktop client, whose data centres take connections and never answer", vendors.telegram_desktop,
        "Telegram Desktop (Debian's build of the vendor's own client)", ["telegram-desktop", "dnsmasq-base", "tcpdump"], "telegram",
        shows=["POST /api HTTP/1.1"],
    ),
    Recording(
        "signal-libsignal-first-contact.pcapng",
        "Signal's own network code asks for chat and contact discovery, and refuses a certificate of the lab's authority",
        vendors.signal_libsignal, "libsignal-client (the vendor's own library, which its apps are built on; not an app)",
        ["dnsmasq-base", "tcpdump"], "signal", shows=["grpc", "cdsi.signal.org"], hides=["metaleak lab test authority"], node=True,
    ),
    Recording(
        "call-relay.pcapng.gz", "A call between two browsers by a TURN server and nothing else, at one end", calls.call_relay,
        "Chromium (WebRTC)", ["chromium", "chromium-driver", "coturn", "dnsmasq-base", "tcpdump"], steps=["call-relay"],
        canaries={"password": "relay-canary-3301"}, shows=["relay.example"], hides=["relay-canary-3301"],
    ),
    Recording(
        "call-direct.pcapng.gz", "The same call straight from one browser to the other, at one end", calls.call_direct,
        "Chromium (WebRTC)", ["chromium", "chromium-driver", "coturn", "dnsmasq-base", "tcpdump"], steps=["call-1to1"],
        canaries={"password": "relay-canary-3302"}, hides=["relay-canary-3302"],
    ),
    Recording(
        "counselling-chromium.pcapng.gz", "The counselling stand-in in a real browser, with the secrets: register, write, be answered, search",
        counselling_visit.clean, "Chromium at a stand-in of a counselling service", ["chromium", "chromium-driver", "dnsmasq-base", "tcpdump"], "caritas",
        ["register", "web-login", "text-1to1", "idle"],
        {"name": "visitor-canary-6201", "password": "web-canary-6202", "message": "canary of the browser's message 6203", "topic": "topic-canary-6204"},
        hides=["canary"], keyed=True, device=BROWSER, service=counselling_visit.SERVICE,
    ),
    Recording(
        "counselling-planted.pcapng.gz", "The same visit with a tracker and a request in clear planted, with the secrets",
        counselling_visit.planted, "Chromium at a stand-in of a counselling service", ["chromium", "chromium-driver", "dnsmasq-base", "tcpdump"], "caritas",
        ["register", "web-login", "text-1to1", "idle"],
        {"name": "visitor-canary-6211", "password": "web-canary-6212", "message": "canary of the browser's message 6213", "topic": "topic-canary-6214"},
        shows=["GET /search?topic=topic-canary-6214", counselling_visit.TRACKED], hides=["visitor-canary", "web-canary", "canary of the"], keyed=True, device=BROWSER, service=counselling_visit.SERVICE,
    ),
    Recording(
        "counselling-control.pcapng.gz", "The same browser with an empty page, left alone: what it sends without the service", counselling_visit.control,
        "Chromium with an empty page", ["chromium", "chromium-driver", "dnsmasq-base", "tcpdump"], steps=["idle"],
        hides=["beratung.example", counselling_visit.TRACKED], device=BROWSER, control="without-app",
    ),
    Recording(
        "xmpp-profanity-starttls.pcapng.gz",
        "XMPP with a client of people and STARTTLS: sign-up without a number, contact list, a message and an answer, one with OMEMO, idle",
        profanity.starttls, "Profanity", ["profanity", "tmux", "prosody", "dnsmasq-base", "tcpdump"], "conversations",
        ["register", "contact-sync", "text-1to1", "idle", "own-server"],
        {"password": "xmpp-canary-7204", "message": "canary of the person's message 7205", "answer": "canary of the person's answer 7206",
         "sealed": "canary of the sealed message 7207"},
        shows=["<proceed", "xmpp.example"], hides=["canary of the", "xmpp-canary"],
    ),
    Recording(
        "xmpp-profanity-clear.pcapng.gz", "The same without TLS, switched off by the person: what OMEMO covers and what it does not",
        profanity.without_tls, "Profanity", ["profanity", "tmux", "prosody", "dnsmasq-base", "tcpdump"], "conversations",
        ["contact-sync", "text-1to1", "idle", "own-server"],
        {"password": "xmpp-canary-7214", "message": "canary of the person's message 7215", "answer": "canary of the person's answer 7216",
         "sealed": "canary of the sealed message 7217"},
        shows=["canary of the person", "eu.siacs.conversations.axolotl"], hides=["canary of the sealed"],
    ),
]
