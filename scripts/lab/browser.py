"""Headless Chromium on a host of the lab, driven by WebDriver (W3C Recommendation of 2018-06-05) through chromedriver.

chromedriver listens on the loopback interface of its namespace, so that what is said to it is in no recording; this program enters the
namespace only to open its sockets.
"""

import base64
import ctypes
import hashlib
import http.client
import json
import os
import socket
import time

from .net import LabError, call

PORT = 9515
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the specification's name of a reference to an element
CHROMIUM = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-default-apps", "--disable-extensions", "--disable-quic", "--no-default-browser-check", "--disable-dev-shm-usage", "--lang=en",
]


def connect(namespace, port):
    """A connection to the loopback interface of a namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    home, there = os.open("/proc/self/ns/net", os.O_RDONLY), os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if libc.setns(there, 0x40000000) != 0:  # CLONE_NEWNET
            raise LabError(f"cannot enter {namespace}: {os.strerror(ctypes.get_errno())}")
        return socket.create_connection(("127.0.0.1", port), 60)
    finally:
        libc.setns(home, 0x40000000)
        os.close(there)
        os.close(home)


def pin(certificate):
    """The hash of a certificate's key, as Chromium wants it to trust that key alone."""
    key = call("openssl", "x509", "-in", certificate, "-noout", "-pubkey")
    der = base64.b64decode("".join(line for line in key.splitlines() if "KEY" not in line))
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


class Browser:
    """A browser with a profile of its own, while the `with` block runs."""

    def __init__(self, lab, host, folder, more=(), keylog=None):
        self.lab, self.host, self.folder = lab, host, folder
        self.arguments = [*CHROMIUM, f"--user-data-dir={folder}/profile", *more]
        self.environment = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder), "TMPDIR": str(folder),
                            **({"SSLKEYLOGFILE": str(keylog)} if keylog else {})}

    def __enter__(self):
        self.folder.mkdir()
        log = self.folder / "chromedriver.log"
        self.driver = self.lab.start(self.host, "chromedriver", f"--port={PORT}", log=log, env=self.environment)
        for _ in range(100):
            if "started successfully" in log.read_text(errors="replace"):
                break
            if self.driver.poll() is not None:
                raise LabError(f"chromedriver ended: {log.read_text(errors='replace')[-1500:]}")
            time.sleep(0.1)
        wanted = {"browserName": "chrome", "goog:chromeOptions": {"args": self.arguments},
                  "timeouts": {"script": 30000, "pageLoad": 30000}}
        made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.session = f"/session/{made['sessionId']}"
        return self

    def __exit__(self, *_exc):
        try:
            self._ask("DELETE", self.session)
        except (OSError, LabError):
            pass  # it is stopped anyway, with all that lives in the namespace
        self.lab.stop(self.driver)

    def _ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        connection.sock = connect(self.lab.ns[self.host], PORT)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(answer, dict) and "error" in answer:
            raise LabError(f"{method} {path}: {answer['error']}: {answer.get('message', '')[:600]}")
        return answer

    def open(self, address):
        """Opens a page and waits until it is loaded."""
        self._ask("POST", f"{self.session}/url", {"url": address})

    def run(self, script, *arguments):
        """Runs the body of an asynchronous function in the page; gives what it returns."""
        wrapped = ("const args = [...arguments], done = args.pop();"
                   f"(async (...args) => {{ {script} }})(...args).then(v => done([v, null]), e => done([null, String(e)]));")
        value, failed = self._ask("POST", f"{self.session}/execute/async", {"script": wrapped, "args": list(arguments)})
        if failed:
            raise LabError(f"in the page: {failed}")
        return value

    def find(self, selector, within=10):
        """The element that a CSS selector names, once it is there and shown."""
        for _ in range(within * 10):
            found = self._ask("POST", f"{self.session}/elements", {"using": "css selector", "value": selector})
            if found and self._ask("GET", f"{self.session}/element/{found[0][ELEMENT]}/displayed"):
                return found[0][ELEMENT]
            time.sleep(0.1)
        raise LabError(f"{selector} is not to be seen on the page after {within} s")

    def click(self, selector):
        """Clicks an element."""
        self._ask("POST", f"{self.session}/element/{self.find(selector)}/click", {})

    def type(self, selector, text):
        """Types into an element."""
        self._ask("POST", f"{self.session}/element/{self.find(selector)}/value", {"text": text})

    def wait_text(self, selector, text, within=10):
        """Waits until an element shows a text."""
        seen = ""
        for _ in range(within * 10):
            seen = self._ask("GET", f"{self.session}/element/{self.find(selector)}/text")
            if text in seen:
                return
            time.sleep(0.1)
        raise LabError(f"{selector} shows {seen!r} and not {text!r} after {within} s")
