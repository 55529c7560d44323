"""Vendors' own programs, whose servers are out of reach: the lab's hosts own the addresses or names that they ask for.

Each function does what one recording of `recordings` is of. What such a program sends before anybody answers rightly is real: names asked,
addresses tried, fall-backs, handshakes. All that needs the vendor's servers is missing.
"""

import time
from pathlib import Path

from . import node
from .net import SINK, LabError, wait_for

PYTHON = "/usr/bin/python3"
HERE = Path(__file__).parent
# What Telegram's own client dials without being told: its published data centres (documented by OONI, test ts-020).
DATA_CENTRES = ["149.154.175.50", "149.154.175.100", "149.154.167.51", "149.154.167.91", "149.154.171.5", "95.161.76.100"]


def telegram_desktop(lab, folder, certs, canaries):
    """Telegram's own client, started for the first time, meets data centres that take connections and never answer."""
    lab.borrow(DATA_CENTRES)
    far = lab.start("server", PYTHON, HERE / "sink.py", "0.0.0.0", 443, 80, log=folder / "sink.log")
    wait_for(far, "ready")
    home = folder / "home"
    home.mkdir(mode=0o700)
    yield
    app = lab.start("client", "telegram-desktop", "-workdir", home, log=folder / "telegram.log",
                    env={"HOME": str(home), "XDG_RUNTIME_DIR": str(home), "QT_QPA_PLATFORM": "offscreen"})
    time.sleep(20)  # long enough for its fall-backs: port 80, then the names it asks for other addresses
    if app.poll() is not None:
        raise LabError(f"telegram-desktop ended by itself: {(folder / 'telegram.log').read_text(errors='replace')[-1500:]}")
    lab.stop(app)
    lab.stop(far)


def signal_libsignal(lab, folder, certs, canaries):
    """Signal's own network code asks for the chat service and contact discovery, and meets a certificate of the lab's authority."""
    log = folder / "host.log"
    host = lab.start("server", PYTHON, HERE / "tls_host.py", SINK, 443, certs / "signal.pem", certs / "signal.key", log=log)
    wait_for(host, "ready")
    yield
    said = lab.run("client", "node", HERE / "signal_net.mjs", node.FOLDER, timeout=60)
    time.sleep(0.3)
    for name in ("grpc.chat.signal.org", "cdsi.signal.org"):
        # The certificate is valid for the name; only its authority is foreign (RFC 8446 section 6.2, unknown_ca).
        if f"{name}: refused: TLSV1_ALERT_UNKNOWN_CA" not in log.read_text():
            raise LabError(f"{name}: no refusal of the authority: {log.read_text()[-800:]}; {said[-800:]}")
    lab.stop(host)
