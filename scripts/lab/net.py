"""Three hosts in network namespaces: client, router, server. The recorder listens on the router, as an auditor would.

Takes nothing; gives a `Lab` in which programs run. Nothing in it has a way out, which `_check_closed` proves before
any program starts. A vendor's program that dials fixed public addresses finds them on the server, which borrows them: their routes end
within the lab, which is checked in the same way. Whatever ends the script, every program started here is stopped by its process id and the namespaces
are removed. Speaks no application protocol: that is `recordings`.
"""

import ipaddress
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

NETS = [ipaddress.ip_network(n) for n in ("10.77.1.0/24", "10.77.2.0/24", "fd00:77:1::/64", "fd00:77:2::/64")]
CLIENT, CLIENT6 = "10.77.1.2", "fd00:77:1::2"
# One address for each service, so that a destination in a report is one service.
WEB, WEB6 = "10.77.2.10", "fd00:77:2::10"
OLD_WEB = "10.77.2.12"
XMPP = "10.77.2.22"
MAIL = "10.77.2.25"
STORE = "10.77.2.33"
SINK = "10.77.2.40"
RELAY = "10.77.2.34"
TRACKER, SEARCH = "10.77.2.60", "10.77.2.61"
DNS, DNS6 = "10.77.2.53", "fd00:77:2::53"


class LabError(Exception):
    """Something of the lab could not be set up or did not do what it must; the text says what."""


def call(*argv, check=True, timeout=30, **more):
    """Runs a program to its end and gives its output."""
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, **more)
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(map(str, argv))}: exit {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def why_not():
    """The reason why no lab can be built here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [p for p in ("ip", "tcpdump", "ethtool") if shutil.which(p) is None]
    if missing:
        return f"{', '.join(missing)} not installed (scripts/setup.sh lab)"
    name = f"mlprobe{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode != 0:
        return "network namespaces cannot be made on this machine"
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return None


class Lab:
    """The three hosts while the `with` block runs."""

    def __init__(self):
        self.ns = {host: f"ml{os.getpid()}-{host}" for host in ("client", "router", "server")}
        self._running = []
        self._borrowed = []

    def __enter__(self):
        # A plain kill of this script must still take the namespaces down.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda n, _frame: sys.exit(128 + n))
        try:
            self._build()
            self._check_closed()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc):
        for process in reversed(self._running):
            self.stop(process)
        for name in self.ns.values():
            # What a program has left behind: nothing but this lab's own programs lives in its namespaces.
            left = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split()
            for number in map(int, left):
                try:
                    os.kill(number, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
            shutil.rmtree(Path("/etc/netns") / name, ignore_errors=True)

    def _build(self):
        for host, name in self.ns.items():
            call("ip", "netns", "add", name)
            call("ip", "-n", name, "link", "set", "lo", "up")
            resolv = Path("/etc/netns") / name
            resolv.mkdir(parents=True)
            (resolv / "resolv.conf").write_text(f"nameserver {DNS}\noptions timeout:2 attempts:1\n")
            # Router advertisements and duplicate detection would only add noise to the recordings.
            for key, value in (("accept_ra", 0), ("accept_dad", 0), ("router_solicitations", 0)):
                for scope in ("all", "default"):
                    self.run(host, "sysctl", "-qw", f"net.ipv6.conf.{scope}.{key}={value}")
        client, router, server = (self.ns[h] for h in ("client", "router", "server"))
        # Both ends of each pair are born inside the lab: no interface ever touches the machine's own network.
        call("ip", "-n", router, "link", "add", "lan", "address", "02:77:01:00:00:01", "type", "veth",
             "peer", "name", "eth0", "address", "02:77:01:00:00:02", "netns", client)
        call("ip", "-n", router, "link", "add", "wan", "address", "02:77:02:00:00:01", "type", "veth",
             "peer", "name", "eth0", "address", "02:77:02:00:00:02", "netns", server)
        self._addresses("router", "lan", ["10.77.1.1/24", "fd00:77:1::1/64"])
        self._addresses("router", "wan", ["10.77.2.1/24", "fd00:77:2::1/64"])
        self._addresses("client", "eth0", [f"{CLIENT}/24", f"{CLIENT6}/64"])
        self._addresses("server", "eth0", [f"{a}/24" for a in (WEB, OLD_WEB, XMPP, MAIL, STORE, RELAY, SINK, TRACKER, SEARCH, DNS)] + [f"{WEB6}/64", f"{DNS6}/64"])
        self.run("router", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        # Routes to the other lab net only; a default route would be a way out.
        for host, far in (("client", 2), ("server", 1)):
            near = 3 - far
            call("ip", "-n", self.ns[host], "route", "add", f"10.77.{far}.0/24", "via", f"10.77.{near}.1")
            call("ip", "-n", self.ns[host], "-6", "route", "add", f"fd00:77:{far}::/64", "via", f"fd00:77:{near}::1")

    def borrow(self, addresses):
        """Gives the server public addresses that a program dials, each with a route that ends there; proves again that the lab is closed."""
        for address in addresses:
            if address in self._borrowed:
                continue
            self._borrowed.append(address)
            bits, family, gates = (128, "-6", ("fd00:77:1::1", "fd00:77:2::10")) if ":" in address else (32, "-4", ("10.77.1.1", WEB))
            call("ip", "-n", self.ns["server"], "address", "add", f"{address}/{bits}", "dev", "lo", *(["nodad"] if bits == 128 else []))
            for host, gate in zip(("client", "router"), gates):
                call("ip", "-n", self.ns[host], family, "route", "add", f"{address}/{bits}", "via", gate)
        self._check_closed()

    def _addresses(self, host, link, addresses):
        # Without offloading, frames are as large as on a real line and their checksums are right.
        self.run(host, "ethtool", "-K", link, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
        for address in addresses:
            flags = ["nodad"] if ":" in address else []
            call("ip", "-n", self.ns[host], "address", "add", address, "dev", link, *flags)
        call("ip", "-n", self.ns[host], "link", "set", link, "up")

    def _check_closed(self):
        """Refuses to go on unless every route of every host stays within the lab."""
        for host, name in self.ns.items():
            for family in ("-4", "-6"):
                for route in json.loads(call("ip", "-n", name, "-j", family, "route", "show", "table", "all") or "[]"):
                    target = route["dst"]
                    if target == "default":
                        raise LabError(f"{host} has a default route: the lab is not closed")
                    net = ipaddress.ip_network(target, strict=False)
                    inside = any(net.version == n.version and net.subnet_of(n) for n in NETS) or target in self._borrowed
                    if not (inside or net.is_loopback or net.is_link_local or net.is_multicast):
                        raise LabError(f"{host} has a route to {target}: the lab is not closed")
            for outside in ("192.0.2.1", "2001:db8::1"):
                if subprocess.run(["ip", "-n", name, "route", "get", outside], capture_output=True).returncode == 0:
                    raise LabError(f"{host} knows a way to {outside}: the lab is not closed")
            links = {link["ifname"] for link in json.loads(call("ip", "-n", name, "-j", "link"))}
            if links != {"client": {"lo", "eth0"}, "router": {"lo", "lan", "wan"}, "server": {"lo", "eth0"}}[host]:
                raise LabError(f"{host} has interfaces {sorted(links)}: not the lab's")

    def argv(self, host, *argv):
        """The command line that runs a program on a host of the lab."""
        return ["ip", "netns", "exec", self.ns[host], *map(str, argv)]

    def run(self, host, *argv, **more):
        """Runs a program on a host to its end and gives its output."""
        return call(*self.argv(host, *argv), **more)

    def start(self, host, *argv, log, env=None):
        """Starts a program on a host; it is stopped with the lab, or earlier by `stop`."""
        with open(log, "wb") as out:
            process = subprocess.Popen(self.argv(host, *argv), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                       env={**os.environ, **(env or {})}, start_new_session=True)
        process.log = log
        self._running.append(process)
        return process

    def stop(self, process, number=signal.SIGTERM):
        """Stops a program by its process id: asks first, insists after five seconds. Gives its exit code."""
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process in self._running:
            self._running.remove(process)
        return process.returncode

    def wait_port(self, process, address, port):
        """Waits until a server answers on a TCP port of the server host."""
        for _ in range(100):
            if process.poll() is not None:
                raise LabError(f"{' '.join(process.args[4:])} ended: {Path(process.log).read_text(errors='replace')[-1500:]}")
            listening = self.run("server", "ss", "-Htln")
            shown = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
            if shown in listening or f"0.0.0.0:{port}" in listening:
                return
            time.sleep(0.05)
        raise LabError(f"nothing listens on {address} port {port}: {Path(process.log).read_text(errors='replace')[-1500:]}")


def wait_for(process, word, seconds=10):
    """Waits until a program has printed a word."""
    said = ""
    for _ in range(seconds * 10):
        said = Path(process.log).read_text(errors="replace")
        if word in said:
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise LabError(f"{' '.join(process.args[4:])} never said {word!r}: {said[-1500:]}")


class Recorder:
    """tcpdump on the router's side towards the client, while the `with` block runs."""

    def __init__(self, lab, file, nano=False):
        self.lab, self.file, self.nano = lab, Path(file), nano

    def __enter__(self):
        precision = ["--time-stamp-precision=nano"] if self.nano else []
        log = self.file.with_suffix(".tcpdump.log")
        self.process = self.lab.start("router", "tcpdump", "-i", "lan", "-n", "-s", "0", "-U", "--immediate-mode", *precision,
                                      "-Z", "root", "-w", self.file, log=log)
        for _ in range(100):
            if "listening on" in log.read_text(errors="replace"):
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise LabError(f"tcpdump did not start: {log.read_text(errors='replace')}")

    def __exit__(self, kind, *_rest):
        time.sleep(0.3)  # the last acknowledgements are still on their way
        self.lab.stop(self.process, signal.SIGINT)
        said = Path(self.process.log).read_text(errors="replace")
        if kind is None and "\n0 packets dropped by kernel" not in said:
            raise LabError(f"the recorder lost packets: {said}")
