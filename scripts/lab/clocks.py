#!/usr/bin/env python3
"""Lab test of clocks and marks: one conversation recorded at both ends, the device's clock ahead by a planted offset.

usage: scripts/lab/clocks.py [METALEAK]

`metaleak run` records at the router while its second back-end records at the client, whose timestamps are moved by so many seconds on their
way (tcpdump's own, real TCP handshakes, no other change). The offset that the run notes must be within 20 ms of the planted one; the datagrams
of each step must lie within the step's mark, 50 ms before and after, at both ends and by both clocks. Needs root, ip, tcpdump, editcap.
Exits 0 when all is as expected or the lab cannot be built (said so), else 1.
"""

import datetime
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import net

OFFSETS = [0.0, -0.4, 7.25, 30.0, -30.0]  # seconds that the device's clock is ahead
MOST_OFF, AROUND = 0.020, 0.050
PORT, MARKED = 443, 9
STEPS = ("register", "text-1to1", "media")
SERVE = f"""
import socket
s = socket.create_server(("0.0.0.0", {PORT}), backlog=64)
print("ready", flush=True)
while True:
    s.accept()[0].close()
"""
# A step: handshakes for the clocks, and datagrams that say whose they are, from its first moment to its last.
TALK = f"""
import socket, sys, time
step, server = sys.argv[1:]
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(8):
    out.sendto(b"step:" + step.encode(), (server, {MARKED}))
    socket.create_connection((server, {PORT}), timeout=5).close()
    time.sleep(0.05)
out.sendto(b"step:" + step.encode(), (server, {MARKED}))
"""


def ahead(offset, namespace):
    """In the place of ssh: tcpdump at the client, its times moved; ends when the runner closes the input, as the other machine's shell would."""
    recorder = subprocess.Popen(["ip", "netns", "exec", namespace, "tcpdump", "-i", "eth0", "-U", "--immediate-mode", "-w", "-"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def watch():
        while os.read(0, 4096):
            pass
        recorder.send_signal(signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    out, nanos = sys.stdout.buffer, round(offset * 1e9)
    head = recorder.stdout.read(24)
    out.write(head)
    order = "<" if head[:4] == bytes.fromhex("d4c3b2a1") else ">"
    while len(record := recorder.stdout.read(16)) == 16:
        seconds, micros, kept, length = struct.unpack(order + "IIII", record)
        moved = seconds * 10**9 + micros * 1000 + nanos
        out.write(struct.pack(order + "IIII", moved // 10**9, moved % 10**9 // 1000, kept, length) + recorder.stdout.read(kept))
        out.flush()
    return recorder.wait()


def datagrams(path, folder):
    """Times in seconds and step of each marked datagram of a capture, by a reader that is not metaleak's."""
    plain = folder / "plain.pcap"
    net.call("editcap", "-F", "nsecpcap", path, plain)
    data, at, found = plain.read_bytes(), 24, []
    while at + 16 <= len(data):
        seconds, nanos, kept, _ = struct.unpack_from("<IIII", data, at)
        frame = data[at + 16:at + 16 + kept]
        # What the server's host answers (ICMP, port unreachable) quotes the datagram.
        if frame[12:14] == b"\x08\0" and frame[23] == 17 and b"step:" in frame:
            found.append((seconds + nanos / 1e9, frame.split(b"step:")[1].decode()))
        at += 16 + kept
    return found


def seconds(text):
    """A time of a description, in seconds since 1970."""
    whole, _, nanos = text.rstrip("Z").partition(".")
    return datetime.datetime.fromisoformat(whole + "+00:00").timestamp() + float("0." + (nanos or "0"))


def within(capture, run, folder):
    """Checks that each step's datagrams lie within its mark; gives their number and the farthest that one is outside of its mark."""
    marks = {mark["step"]: (seconds(mark["start"]), seconds(mark["end"])) for mark in run["marks"]}
    found, farthest = datagrams(capture, folder), 0.0
    for step in STEPS:
        if sum(name == step for _, name in found) != 9:
            raise net.LabError(f"{capture.name}: not all datagrams of {step} were recorded: {found}")
    for time, step in found:
        start, end = marks[step]
        farthest = max(farthest, start - time, time - end)
    if farthest > AROUND:
        raise net.LabError(f"{capture.name}: a datagram is {farthest * 1000:.1f} ms outside of its step's mark")
    return len(found), farthest


def one(lab, metaleak, folder, offset):
    """A run with a clock that is ahead; what was seen, in words."""
    folder.mkdir()
    ssh = folder / "ssh"
    ssh.write_text(f"#!/bin/sh\nexec {sys.executable} {Path(__file__).resolve()} --ahead {offset} {lab.ns['client']}\n")
    ssh.chmod(0o700)
    talk = ["ip", "netns", "exec", lab.ns["client"], sys.executable, "-c", TALK]
    steps = "".join(f'[[step]]\ndo = "run"\nmark = "{step}"\nrun = {json.dumps([*talk, step, net.WEB])}\n[[step]]\ndo = "idle"\nseconds = 1\n'
                    for step in STEPS)
    (folder / "clocks.toml").write_text(f'schema = 1\ntitle = {{ en = "clocks", de = "Uhren" }}\nmessenger = "signal"\nsettle = 0\n{steps}')
    out = folder / "out"
    done = subprocess.run(
        lab.argv("router", metaleak, "run", folder / "clocks.toml", "--folder", out, "--no-study", "-i", "lan", "--vantage", "router",
                 "--second", "ssh", "--remote", "root@device", "--tool", f"ssh={ssh}"),
        capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        raise net.LabError(f"exit {done.returncode}: {done.stderr[-1500:]}")
    run = json.loads((out / "trial-001.run.json").read_text())
    there = json.loads((out / "trial-001" / "device.run.json").read_text())
    clock = run["execution"].get("clock_offset")
    if clock is None:
        raise net.LabError(f"no offset was estimated: {run['execution'].get('notes')}")
    off = abs(clock["offset_ns"] / 1e9 - offset)
    if off > MOST_OFF or off > clock["error_ns"] / 1e9 + 1e-6:
        raise net.LabError(f"planted {offset} s, estimated {clock}: {off * 1000:.3f} ms off")
    number, here = within(out / "trial-001.pcapng", run, folder)
    _, device = within(out / "trial-001" / "device.pcapng", there, folder)
    return (f"estimated {clock['offset_ns'] / 1e9:+.6f} s from {clock['pairs']} packets, {off * 1e3:.3f} ms off (told: within {clock['error_ns'] / 1e6:.3f} ms); "
            f"{number} datagrams within their marks, the farthest {here * 1e3:.1f} ms outside at the router, {device * 1e3:.1f} ms at the device")


def main():
    if sys.argv[1:2] == ["--ahead"]:
        return ahead(float(sys.argv[2]), sys.argv[3])
    metaleak = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2] / "target/debug/metaleak").resolve()
    why = net.why_not() or (None if metaleak.exists() else f"{metaleak} is not built")
    if why is None and shutil.which("editcap") is None:
        why = "editcap is not there (Debian: wireshark-common)"
    if why is None and "live" not in net.call(metaleak, "doctor", check=False).splitlines()[0]:
        why = f"{metaleak} was built without live capture"
    if why:
        print(f"skipped: clocks: {why}")
        return 0
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="metaleak-clocks-") as folder, net.Lab() as lab:
        server = lab.start("server", sys.executable, "-c", SERVE, log=Path(folder) / "server.log")
        lab.wait_port(server, net.WEB, PORT)
        for number, offset in enumerate(OFFSETS):
            try:
                print(f"ok    clock ahead by {offset:+} s: {one(lab, metaleak, Path(folder) / str(number), offset)}", flush=True)
            except (net.LabError, subprocess.TimeoutExpired) as e:
                wrong += 1
                print(f"WRONG clock ahead by {offset:+} s: {e}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
