#!/usr/bin/env python3
"""Lab test of the round-trip bound: real TCP handshakes over a line with a planted delay.

usage: scripts/lab/delays.py [METALEAK]

Two closed network namespaces, client and server, are joined by nothing but two TUN devices, and this program carries packets from one to
the other after a delay (the kernels of such labs lack netem). The server holds addresses whose country the reference data names; no
packet leaves the machine, as neither side has any other device or a default route. tcpdump records at the client, and METALEAK
(target/debug/metaleak) must strike out exactly the countries that are too far as computed by hand; random delays on top may only
strike out less. Needs root, ip, tcpdump. Exits 0 when all is as expected or the lab cannot be built (said so), else 1.
"""

import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import net

SERVERS = ["8.8.8.8", "31.13.86.51", "41.185.8.1", "129.132.19.216", "130.216.1.1", "133.11.0.1", "193.99.144.80", "200.160.2.3"]
CLIENT = "192.168.77.2"
PLACE = "47.37,8.54"
# Round trip in milliseconds, most jitter in milliseconds, countries to be struck out; tests/round_trip.rs has the distances.
CASES = [
    (2, 0, "BR IE JP NZ US ZA"),
    (20, 0, "BR JP NZ US ZA"),
    (120, 0, "NZ"),
    (20, 60, None),
]
SERVE = """
import socket, sys
s = socket.create_server(("0.0.0.0", 443), backlog=64)
print("ready", flush=True)
while True:
    s.accept()[0].close()
"""
CONNECT = """
import socket, sys
for address in sys.argv[1:] * 4:
    with socket.create_connection((address, 443), timeout=5) as s:
        s.recv(1)
"""


class Relay(threading.Thread):
    """Carries packets between two TUN devices, each after half of the round trip and some jitter."""

    def __init__(self, ends):
        super().__init__(daemon=True)
        self.ends, self.delay, self.jitter = ends, 0.0, 0.0
        self.stopped = threading.Event()

    def run(self):
        queue, number = [], 0
        dice = random.Random(7)
        while not self.stopped.is_set():
            wait = min(0.05, max(0.0, queue[0][0] - time.monotonic())) if queue else 0.05
            for fd in select.select(self.ends, [], [], wait)[0]:
                packet = os.read(fd, 65536)
                number += 1
                due = time.monotonic() + self.delay / 2 + dice.random() * self.jitter / 2
                other = self.ends[1] if fd == self.ends[0] else self.ends[0]
                heapq.heappush(queue, (due, number, other, packet))
            while queue and queue[0][0] <= time.monotonic():
                _, _, fd, packet = heapq.heappop(queue)
                os.write(fd, packet)


def tun(namespace):
    """A TUN device `line` born in a namespace, and its file."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if libc.setns(there, 0x40000000) != 0:
            raise net.LabError(f"cannot enter {namespace}: {os.strerror(ctypes.get_errno())}")
        fd = os.open("/dev/net/tun", os.O_RDWR)
        # IFF_TUN | IFF_NO_PI
        fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", b"line", 0x0001 | 0x1000))
        return fd
    finally:
        libc.setns(home, 0x40000000)
        os.close(there)
        os.close(home)


def check_closed(namespace):
    """Refuses to go on when a namespace has more than the line, or a way to anywhere else."""
    links = {link["ifname"] for link in json.loads(net.call("ip", "-n", namespace, "-j", "link"))}
    routes = json.loads(net.call("ip", "-n", namespace, "-j", "route", "show", "table", "main") or "[]")
    if links != {"lo", "line"} or any(r["dst"] == "default" or r.get("dev") not in ("lo", "line") for r in routes):
        raise net.LabError(f"{namespace} is not closed: {sorted(links)}, {routes}")


class Line:
    """Both namespaces and the relay while the `with` block runs."""

    def __enter__(self):
        self.client, self.server = (f"mld{os.getpid()}-{side}" for side in ("client", "server"))
        self.running = []
        try:
            ends = []
            for name in (self.client, self.server):
                net.call("ip", "netns", "add", name)
                net.call("ip", "-n", name, "link", "set", "lo", "up")
                net.call("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
                ends.append(tun(name))
            net.call("ip", "-n", self.client, "address", "add", f"{CLIENT}/32", "dev", "line")
            for address in SERVERS:
                net.call("ip", "-n", self.server, "address", "add", f"{address}/32", "dev", "lo")
            for name in (self.client, self.server):
                net.call("ip", "-n", name, "link", "set", "line", "up")
            for address in SERVERS:
                net.call("ip", "-n", self.client, "route", "add", f"{address}/32", "dev", "line", "src", CLIENT)
            net.call("ip", "-n", self.server, "route", "add", f"{CLIENT}/32", "dev", "line")
            for name in (self.client, self.server):
                check_closed(name)
            self.relay = Relay(ends)
            self.relay.start()
            self.start(self.server, [sys.executable, "-c", SERVE], "ready", "stdout")
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self, namespace, argv, sign, stream):
        """Starts a program and waits until it says that it is ready."""
        process = subprocess.Popen(["ip", "netns", "exec", namespace, *argv], stdin=subprocess.DEVNULL, text=True, **{stream: subprocess.PIPE})
        self.running.append(process)
        for text in getattr(process, stream):
            if sign in text:
                return process
        raise net.LabError(f"{argv[0]} ended before it was ready")

    def stop(self, process, number=signal.SIGTERM):
        process.send_signal(number)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.running.remove(process)

    def __exit__(self, *_exc):
        for process in list(self.running):
            self.stop(process)
        relay = getattr(self, "relay", None)
        if relay:
            relay.stopped.set()
            relay.join(2)
        for name in (self.client, self.server):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def record(self, file, round_trip, jitter):
        """A few handshakes with each server over a line with this delay: the smallest counts, so a busy machine does no harm."""
        self.relay.delay, self.relay.jitter = round_trip / 1000, jitter / 1000
        argv = ["tcpdump", "-i", "line", "-n", "-U", "--immediate-mode", "--time-stamp-precision=nano", "-Z", "root", "-w", str(file)]
        recorder = self.start(self.client, argv, "listening on", "stderr")
        net.call("ip", "netns", "exec", self.client, sys.executable, "-c", CONNECT, *SERVERS)
        time.sleep(0.3)
        self.stop(recorder, signal.SIGINT)


def struck_out(metaleak, file):
    """Countries struck out, and the smallest and largest round trip."""
    report = json.loads(net.call(metaleak, "replay", file, "--vantage", PLACE, "--format", "json"))
    ends = [d for d in report["destinations"] if d["address"] in SERVERS]
    if len(ends) != len(SERVERS):
        raise net.LabError(f"{len(ends)} of {len(SERVERS)} servers in the report")
    times = [d["rtt_min_ms"] for d in ends]
    return {code for d in ends for code in d.get("rtt_excludes", [])}, min(times), max(times)


def main():
    metaleak = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2] / "target/debug/metaleak").resolve()
    why = net.why_not() or (None if os.path.exists("/dev/net/tun") else "no /dev/net/tun") or (None if metaleak.exists() else f"{metaleak} is not built")
    if why:
        print(f"skipped: delays: {why}")
        return 0
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _frame: sys.exit(128 + n))
    bare, wrong = {}, 0
    with tempfile.TemporaryDirectory() as folder, Line() as line:
        for round_trip, jitter, expected in CASES:
            file = Path(folder) / f"delay-{round_trip}-{jitter}.pcap"
            line.record(file, round_trip, jitter)
            found, least, most = struck_out(metaleak, file)
            if expected is None:
                good = found <= bare[round_trip]
            else:
                bare[round_trip] = set(expected.split())
                good = found == bare[round_trip]
            good = good and least >= round_trip
            wrong += not good
            print(f"{'ok   ' if good else 'WRONG'} {round_trip} ms + up to {jitter} ms: measured {least:.2f} to {most:.2f} ms, struck out: {' '.join(sorted(found)) or 'none'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
