"""The servers of the lab: dnsmasq, nginx, Prosody, Dovecot, PostgreSQL, MariaDB, OpenLDAP, each with the smallest configuration that does the job.

Takes a running `Lab` and a folder for configuration and logs; gives servers that listen on the lab's addresses.
"""

import pwd
import re
import shutil
import subprocess
import time
from pathlib import Path

from . import counselling
from .net import DNS, DNS6, MAIL, OLD_WEB, SEARCH, SINK, STORE, TRACKER, WEB, WEB6, XMPP, LabError, call

XMPP_NAME, WEB_NAME, OLD_NAME, MAIL_NAME = "xmpp.example", "beratung.example", "alt.beratung.example", "mail.example"
STORE_NAME = "store.example"
# The one real domain that the resolver answers for: Signal's own code asks for names below it.
SIGNAL_DOMAIN = "signal.org"
LONG_TEXT = "a text record that does not fit into a datagram of 512 bytes " * 3


def certificates(folder):
    """A certificate authority of the lab's own and server certificates: `leaf` for the lab's names, one each for names of others."""
    folder.mkdir()
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    call("openssl", "req", "-x509", *ec, "-keyout", "ca.key", "-out", "ca.pem", "-days", "3650",
         "-subj", "/O=metaleak lab/CN=metaleak lab test authority", cwd=folder)
    for file, names in (("leaf", [WEB_NAME, OLD_NAME, XMPP_NAME, STORE_NAME]), ("tracker", [counselling.TRACKER]),
                        ("signal", [f"*.{SIGNAL_DOMAIN}", f"*.chat.{SIGNAL_DOMAIN}"])):
        (folder / f"{file}.cnf").write_text("basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName="
                                            + ",".join(f"DNS:{name}" for name in names) + "\n")
        call("openssl", "req", *ec, "-keyout", f"{file}.key", "-out", f"{file}.csr", "-subj", f"/CN={names[0]}", cwd=folder)
        call("openssl", "x509", "-req", "-in", f"{file}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
             "-days", "365", "-extfile", f"{file}.cnf", "-out", f"{file}.pem", cwd=folder)
    return folder


def dnsmasq(lab, folder):
    """The resolver of the lab. It knows the lab's names only and asks nobody."""
    # RFC 9460: priority 1, target "." (the name itself), key 1 (alpn) with the one value h2.
    https = "00010000010003026832"
    conf = folder / "dnsmasq.conf"
    conf.write_text(f"""no-resolv
no-hosts
no-poll
no-daemon
user=root
pid-file
bind-interfaces
except-interface=lo
listen-address={DNS},{DNS6}
local=/#/
auth-ttl=300
local-ttl=300
host-record={WEB_NAME},{WEB},{WEB6}
host-record={OLD_NAME},{OLD_WEB}
host-record={XMPP_NAME},{XMPP}
host-record={MAIL_NAME},{MAIL}
host-record={STORE_NAME},{STORE}
host-record={counselling.TRACKER},{TRACKER}
host-record={counselling.SEARCH},{SEARCH}
address=/{SIGNAL_DOMAIN}/{SINK}
cname=online.{WEB_NAME},{WEB_NAME}
srv-host=_xmpp-client._tcp.{XMPP_NAME},{XMPP_NAME},5222,5,1
mx-host={WEB_NAME},{WEB_NAME},10
txt-record=short.{WEB_NAME},a short text
txt-record=long.{WEB_NAME},{",".join([LONG_TEXT.strip()] * 4)}
dns-rr={WEB_NAME},65,{https}
""")
    process = lab.start("server", "dnsmasq", "--conf-file=" + str(conf), log=folder / "dnsmasq.log")
    lab.wait_port(process, DNS, 53)
    lab.wait_port(process, DNS6, 53)
    return process


def nginx(lab, folder, certs):
    """A web server: TLS 1.3 only on one address, TLS 1.2 only on another, clear text with a password on port 80."""
    root = folder / "web"
    root.mkdir()
    (root / "page.html").write_text("<!doctype html><title>Counselling</title><p>A page of the lab.</p>\n" + "<p>text</p>\n" * 200)
    # A password file as `htpasswd` writes it; the scheme {PLAIN} is nginx's own.
    (folder / "users").write_text("client:{PLAIN}basic-canary-4417\n")
    common = f"""
        root {root};
        default_type text/html;
        location = /login {{ add_header Set-Cookie "session=cookie-canary-5520; HttpOnly"; return 200 '{{"ok":true}}'; }}
        location = /messages {{ return 201 '{{"stored":true}}'; }}
    """
    tls = f"ssl_certificate {certs}/leaf.pem; ssl_certificate_key {certs}/leaf.key;"
    conf = folder / "nginx.conf"
    conf.write_text(f"""
daemon off; user root; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
events {{ worker_connections 64; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    gzip on; gzip_types text/html;
    server {{ listen {WEB}:443 ssl; listen [{WEB6}]:443 ssl; server_name {WEB_NAME}; {tls} ssl_protocols TLSv1.3; {common} }}
    server {{ listen {OLD_WEB}:443 ssl; server_name {OLD_NAME}; {tls} ssl_protocols TLSv1.2; {common} }}
    server {{ listen {WEB}:80; server_name {WEB_NAME}; auth_basic "counselling"; auth_basic_user_file {folder}/users; {common} }}
}}
""")
    process = lab.start("server", "nginx", "-p", folder, "-c", conf, "-e", folder / "nginx-start.log", log=folder / "nginx.log")
    lab.wait_port(process, WEB6, 443)
    return process


def prosody(lab, folder, certs, accounts, encryption_required, people=False, upload=False):
    """An XMPP server with the given accounts (name → password). Encryption is offered always, required on request.

    `people` adds what their clients want: sign-up in the client (XEP-0077), and personal events, which OMEMO's keys travel in. `upload`
    takes files over HTTPS on port 5281 (XEP-0363).
    """
    more = ', "register", "pep", "carbons", "presence", "message", "iq"' if people else ""
    data = folder / "data"
    data.mkdir(parents=True)
    conf = folder / "prosody.cfg.lua"
    yes_no = str(encryption_required).lower()
    conf.write_text(f"""
run_as_root = true -- alone in a namespace of the lab; there is no other user to become
pidfile = "{folder}/prosody.pid"
data_path = "{data}"
interfaces = {{ "{XMPP}" }}
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "ping"{more} }}
allow_registration = {str(people).lower()}
modules_disabled = {{ "s2s", "offline" }}
authentication = "internal_plain"
http_ports = {{}}
https_ports = {{ {5281 if upload else ""} }}
https_interfaces = {{ "{XMPP}" }}
https_ssl = {{ key = "{certs}/leaf.key", certificate = "{certs}/leaf.pem" }}
c2s_require_encryption = {yes_no}
allow_unencrypted_plain_auth = not {yes_no}
log = {{ info = "*console" }}
VirtualHost "{XMPP_NAME}"
  ssl = {{ key = "{certs}/leaf.key", certificate = "{certs}/leaf.pem" }}
""" + (f"""Component "upload.{XMPP_NAME}" "http_file_share"
  http_host = "{XMPP_NAME}"
  http_external_url = "https://{XMPP_NAME}:5281/"
""" if upload else ""))
    for name, password in accounts.items():
        lab.run("server", "prosodyctl", "--config", conf, "register", name, XMPP_NAME, password)
    process = lab.start("server", "prosody", "-F", "--config", conf, log=folder / "prosody.log")
    lab.wait_port(process, XMPP, 5222)
    return process


def dovecot(lab, folder, password):
    """A mailbox server that takes passwords in clear, over IMAP and POP3."""
    folder.mkdir()
    conf = folder / "dovecot.conf"
    conf.write_text(f"""
base_dir = {folder}/run
state_dir = {folder}/state
log_path = /dev/stderr
listen = {MAIL}
protocols = imap pop3
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:{folder}/mail
first_valid_uid = 1
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/home
}}
""")
    for name in ("mail", "home"):
        (folder / name).mkdir()
        (folder / name).chmod(0o777)
    process = lab.start("server", "dovecot", "-F", "-c", conf, log=folder / "dovecot.log")
    lab.wait_port(process, MAIL, 143)
    return process


def nginx_h2(lab, folder, page):
    """A web server that speaks HTTP/2 without TLS and packs its answers: gzip on one path, brotli on the other."""
    root = folder / "web"
    for path in ("gzip", "br"):
        (root / path).mkdir(parents=True)
        (root / path / "page.html").write_text(page)
    modules = Path("/usr/lib/nginx/modules/ngx_http_brotli_filter_module.so")
    conf = folder / "nginx.conf"
    conf.write_text(f"""
load_module {modules};
daemon off; user root; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
events {{ worker_connections 64; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen {WEB}:80 http2; server_name {WEB_NAME}; root {root}; default_type text/html;
        location /gzip/ {{ gzip on; }}
        location /br/ {{ brotli on; }}
        location = /login {{ add_header Set-Cookie "session=cookie-canary-6520; HttpOnly"; return 200 '{{"ok":true}}'; }}
        # Handed on, so that the request's content is taken: an answer before it would be a stream error.
        location = /messages {{ proxy_pass http://{WEB}:8081/; }}
    }}
    server {{ listen {WEB}:8081; location / {{ return 201 '{{"stored":true}}'; }} }}
}}
""")
    process = lab.start("server", "nginx", "-p", folder, "-c", conf, "-e", folder / "nginx-start.log", log=folder / "nginx.log")
    lab.wait_port(process, WEB, 80)
    return process


def as_user(user):
    """The command line that gives up root for a user, before a program."""
    account = pwd.getpwnam(user)
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]


def owned(user, certs, folder):
    """A folder of the user's with the lab's certificates, as databases want them: readable by nobody else."""
    folder.mkdir()
    folder.parent.chmod(0o711)
    for name in ("ca.pem", "leaf.pem", "leaf.key"):
        shutil.copy(certs / name, folder / name)
        (folder / name).chmod(0o600)
        shutil.chown(folder / name, user, user)
    shutil.chown(folder, user, user)
    return folder


def postgres(lab, folder, certs, password):
    """PostgreSQL with one account and TLS."""
    home = owned("postgres", certs, folder / "postgres")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        raise LabError("PostgreSQL's programs are not where Debian puts them")
    (home / "password").write_text(password)
    shutil.chown(home / "password", "postgres", "postgres")
    data, user = home / "data", as_user("postgres")
    call(*user, programs[-1] / "initdb", "-D", data, "-U", "client", "--auth=scram-sha-256", f"--pwfile={home}/password",
         "--no-sync", cwd=home)
    with open(data / "pg_hba.conf", "a") as rules:
        rules.write("host all all 10.77.1.0/24 scram-sha-256\n")
    process = lab.start("server", *user, programs[-1] / "postgres", "-D", data, "-c", f"listen_addresses={STORE}",
                        "-c", f"unix_socket_directories={home}", "-c", "ssl=on", "-c", f"ssl_cert_file={home}/leaf.pem",
                        "-c", f"ssl_key_file={home}/leaf.key", log=folder / "postgres.log")
    lab.wait_port(process, STORE, 5432)
    return process


def mariadb(lab, folder, certs, password):
    """MariaDB with one account and TLS."""
    home = owned("mysql", certs, folder / "mariadb")
    data = home / "data"
    call("mariadb-install-db", "--no-defaults", "--user=mysql", f"--datadir={data}", "--skip-test-db", timeout=120)
    (home / "start.sql").write_text(f"CREATE USER 'client'@'10.77.1.%' IDENTIFIED BY '{password}';\n")
    shutil.chown(home / "start.sql", "mysql", "mysql")
    process = lab.start("server", "mariadbd", "--no-defaults", "--user=mysql", f"--datadir={data}", f"--bind-address={STORE}",
                        f"--socket={home}/socket", f"--pid-file={home}/pid", f"--init-file={home}/start.sql",
                        f"--ssl-cert={home}/leaf.pem", f"--ssl-key={home}/leaf.key", "--skip-name-resolve",
                        log=folder / "mariadb.log")
    lab.wait_port(process, STORE, 3306)
    return process


def openldap(lab, folder, certs, password):
    """OpenLDAP with one entry and TLS."""
    home = folder / "ldap"
    (home / "data").mkdir(parents=True)
    modules = "/usr/lib/ldap"
    conf = home / "slapd.conf"
    conf.write_text(f"""
include /etc/ldap/schema/core.schema
modulepath {modules}
moduleload back_mdb
pidfile {home}/pid
TLSCertificateFile {certs}/leaf.pem
TLSCertificateKeyFile {certs}/leaf.key
database mdb
suffix "dc=store,dc=example"
rootdn "cn=client,dc=store,dc=example"
rootpw {password}
directory {home}/data
""")
    process = lab.start("server", "slapd", "-h", f"ldap://{STORE}/", "-f", conf, "-d", "0", log=folder / "ldap.log")
    lab.wait_port(process, STORE, 389)
    return process


TOR_AUTHORITY, TOR_RELAYS = OLD_WEB, {"relayone": XMPP, "relaytwo": MAIL, "relaythree": STORE}
TOR_PORT, TOR_DIR_PORT, SOCKS_PORT = 9001, 9030, 9050


def tor_configuration(home, more):
    """A configuration of a Tor network of the lab's own."""
    home.mkdir(exist_ok=True)
    home.chmod(0o700)
    conf = home.with_suffix(".rc")
    conf.write_text(f"""TestingTorNetwork 1
DataDirectory {home}
Log notice stdout
AssumeReachable 1
PathsNeededToBuildCircuits 0.25
ShutdownWaitLength 0
{more}
""")
    return conf


def tor_network(lab, folder):
    """A directory authority and three relays of a Tor network of their own; gives the programs and the line that clients need."""
    keys = folder / "authority" / "keys"
    keys.mkdir(parents=True)
    keys.parent.chmod(0o700)
    keys.chmod(0o700)
    made = subprocess.run(["tor-gencert", "--create-identity-key", "--passphrase-fd", "0", "-m", "12", "-a",
                           f"{TOR_AUTHORITY}:{TOR_DIR_PORT}"], input=b"lab\n", cwd=keys, capture_output=True)
    if made.returncode != 0:
        raise LabError(f"tor-gencert: {made.stderr.decode()[-500:]}")
    identity = re.search(r"fingerprint ([0-9A-F]+)", (keys / "authority_certificate").read_text()).group(1)
    (folder / "empty.rc").touch()
    call("tor", "--list-fingerprint", "--ORPort", TOR_PORT, "--Address", TOR_AUTHORITY, "--DirAuthority", f"x 127.0.0.1:1 {'F' * 40}",
         "--DataDirectory", keys.parent, "--Nickname", "authority", "-f", folder / "empty.rc")
    relay = (keys.parent / "fingerprint").read_text().split()[1]
    authority = (f"DirAuthority authority orport={TOR_PORT} no-v2 v3ident={identity} {TOR_AUTHORITY}:{TOR_DIR_PORT} {relay}")
    votes = """AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
TestingDirAuthVoteExit *
TestingDirAuthVoteHSDir *
TestingDirAuthVoteGuard *
TestingMinExitFlagThreshold 0
V3AuthNIntervalsValid 2
V3AuthVotingInterval 20 seconds
V3AuthVoteDelay 3 seconds
V3AuthDistDelay 3 seconds
TestingV3AuthInitialVotingInterval 10 seconds
TestingV3AuthInitialVoteDelay 2 seconds
TestingV3AuthInitialDistDelay 2 seconds"""
    programs = []
    for name, address in {"authority": TOR_AUTHORITY, **TOR_RELAYS}.items():
        conf = tor_configuration(folder / name, f"""{authority}
Nickname {name}
Address {address}
ORPort {address}:{TOR_PORT}
DirPort {address}:{TOR_DIR_PORT}
SocksPort 0
ExitRelay 1
ExitPolicy accept *:*
ExitPolicyRejectPrivate 0
ContactInfo lab
{votes if name == "authority" else ""}""")
        programs.append(lab.start("server", "tor", "-f", conf, log=folder / f"{name}.log"))
    # The relays are known to clients once the authority has voted on all of them.
    consensus = f"http://{TOR_AUTHORITY}:{TOR_DIR_PORT}/tor/status-vote/current/consensus"
    for _ in range(180):
        said = lab.run("server", "curl", "--silent", consensus, check=False)
        if said.count("\nr ") == 4:
            return programs, authority, consensus
        time.sleep(1)
    raise LabError(f"the Tor network did not come up: {(folder / 'authority.log').read_text(errors='replace')[-1500:]}")


def tor_client(lab, folder, name, authority, newest):
    """A client of that network, once it has built a circuit; `newest` is the newest version of TLS that it may speak."""
    conf = tor_configuration(folder / name, f"{authority}\nSocksPort 127.0.0.1:{SOCKS_PORT}")
    tls = folder / f"{name}.cnf"
    tls.write_text(f"openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMaxProtocol = {newest}\n")
    log = folder / f"{name}.log"
    process = lab.start("client", "tor", "-f", conf, log=log, env={"OPENSSL_CONF": str(tls)})
    for _ in range(120):
        if "Bootstrapped 100%" in log.read_text(errors="replace"):
            return process
        if process.poll() is not None:
            break
        time.sleep(0.5)
    raise LabError(f"the Tor client built no circuit: {log.read_text(errors='replace')[-1500:]}")
