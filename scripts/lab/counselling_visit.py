"""A visit of the counselling stand-in by a real browser: register without e-mail, write, be answered, search for a centre."""

import time
from pathlib import Path

from . import counselling
from .browser import Browser, pin
from .net import SEARCH, TRACKER, WEB, LabError, wait_for

PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).with_name("counselling.py")
IDLE = 5  # seconds in which nobody touches the page
SERVICE, TRACKED = counselling.SITE, counselling.TRACKER


def start(lab, folder, certs, plant):
    """The stand-in, and the two third parties, which nobody asks unless it is planted; gives the programs."""
    hosts = [
        ("serve", WEB, certs / "leaf.pem", certs / "leaf.key", *(["--plant"] if plant else [])),
        ("tracker", TRACKER, certs / "tracker.pem", certs / "tracker.key"),
        ("search", SEARCH),
    ]
    programs = [lab.start("server", PYTHON, SCRIPT, *host, log=folder / f"counselling-{host[0]}.log") for host in hosts]
    for program in programs:
        wait_for(program, "ready")
    return programs


def trust(certs):
    """The browser's arguments by which it takes the lab's two certificates, and no other that it would not take anyway."""
    return ["--ignore-certificate-errors-spki-list=" + ",".join(pin(certs / f"{name}.pem") for name in ("leaf", "tracker"))]


def visit(lab, folder, certs, canaries, plant):
    """One visit; the keys of its connections are in keys.log, as SSLKEYLOGFILE."""
    programs = start(lab, folder, certs, plant)
    with Browser(lab, "client", folder / "browser", trust(certs), keylog=folder / "keys.log") as browser:
        yield
        yield "register"
        browser.open(f"https://{counselling.SITE}/")
        browser.type("#name", canaries["name"])
        browser.type("#password", canaries["password"])
        browser.click("#register")
        browser.wait_text("#state", "registered")
        yield "text-1to1"
        browser.type("#text", canaries["message"])
        browser.click("#send")
        browser.wait_text("#log", f"{counselling.ANSWER}{canaries['message']}")
        yield "idle"
        time.sleep(IDLE)
        yield None
        browser.type("#topic", canaries["topic"])
        browser.click("#search")
        browser.wait_text("#found", "3 advice centres")
    if "CLIENT_TRAFFIC_SECRET_0" not in (folder / "keys.log").read_text():
        raise LabError("the browser wrote no key log")
    for program in programs:
        lab.stop(program)


def clean(lab, folder, certs, canaries):
    """The page speaks to nobody but the service."""
    yield from visit(lab, folder, certs, canaries, plant=False)


def planted(lab, folder, certs, canaries):
    """The page loads a tracker's picture, and its search asks in clear."""
    yield from visit(lab, folder, certs, canaries, plant=True)


def control(lab, folder, certs, _canaries):
    """The same browser with an empty page, for longer than a visit takes."""
    with Browser(lab, "client", folder / "browser", trust(certs)):
        yield
        yield "idle"
        time.sleep(4 * IDLE)
        yield None
