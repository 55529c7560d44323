"""The servers of the lab: dnsmasq, nginx, Prosody, Dovecot, each with the smallest configuration that does the job.

Takes a running `Lab` and a folder for configuration and logs; gives servers that listen on the lab's addresses.
"""

from .net import DNS, DNS6, MAIL, OLD_WEB, WEB, WEB6, XMPP, call

XMPP_NAME, WEB_NAME, OLD_NAME, MAIL_NAME = "xmpp.example", "beratung.example", "alt.beratung.example", "mail.example"
LONG_TEXT = "a text record that does not fit into a datagram of 512 bytes " * 3


def certificates(folder):
    """A certificate authority of the lab's own and a server certificate for its names."""
    folder.mkdir()
    (folder / "leaf.cnf").write_text(
        "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n"
        f"subjectAltName=DNS:{WEB_NAME},DNS:{OLD_NAME},DNS:{XMPP_NAME}\n"
    )
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    call("openssl", "req", "-x509", *ec, "-keyout", "ca.key", "-out", "ca.pem", "-days", "3650",
         "-subj", "/O=metaleak lab/CN=metaleak lab test authority", cwd=folder)
    call("openssl", "req", *ec, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", f"/CN={WEB_NAME}", cwd=folder)
    call("openssl", "x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
         "-days", "365", "-extfile", "leaf.cnf", "-out", "leaf.pem", cwd=folder)
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


def prosody(lab, folder, certs, accounts, encryption_required):
    """An XMPP server with the given accounts (name → password). Encryption is offered always, required on request."""
    data = folder / "data"
    data.mkdir(parents=True)
    conf = folder / "prosody.cfg.lua"
    yes_no = str(encryption_required).lower()
    conf.write_text(f"""
run_as_root = true -- alone in a namespace of the lab; there is no other user to become
pidfile = "{folder}/prosody.pid"
data_path = "{data}"
interfaces = {{ "{XMPP}" }}
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "ping" }}
modules_disabled = {{ "s2s", "offline" }}
authentication = "internal_plain"
c2s_require_encryption = {yes_no}
allow_unencrypted_plain_auth = not {yes_no}
log = {{ info = "*console" }}
VirtualHost "{XMPP_NAME}"
  ssl = {{ key = "{certs}/leaf.key", certificate = "{certs}/leaf.pem" }}
""")
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
