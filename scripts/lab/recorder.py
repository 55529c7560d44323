#!/usr/bin/env python3
"""Lab test of the recorder: `metaleak capture` under load, signals, a full disk and a vanishing interface.

usage: scripts/lab/recorder.py [METALEAK [CASE…]]

A network namespace with nothing but a veth pair, and no address on it: frames of an experimental EtherType go in at one end and are
recorded at the other, each with a number of its own, so that a missing one is known by name. Senders are bounded in count and time.
What is recorded is read here by a few lines of Python, by METALEAK (target/debug/metaleak) and, where they are installed, by tshark
and capinfos. Needs root and ip. Exits 0 when all is as expected or the lab cannot be built (said so), else 1.
"""

import ctypes
import errno
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import net

RATE, SECONDS = 200_000, 20
ETHERTYPE = 0x88B5  # local experimental (IEEE 802)
ENDS = (b"\xff" * 6, b"\x02\x77\x77\x00\x00\x01")
HEAD = "!6s6sHQ"
SIZE = 100


# ------------------------------------------------------------------------------------------------ the sender

class Message(ctypes.Structure):
    """struct mmsghdr, whose first part is a struct msghdr."""

    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint), ("iov", ctypes.c_void_p), ("iovlen", ctypes.c_size_t),
                ("extra", ctypes.c_void_p), ("extralen", ctypes.c_size_t), ("flags", ctypes.c_int), ("sent", ctypes.c_uint)]


class Part(ctypes.Structure):
    """struct iovec."""

    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def send(interface, rate, count, seconds):
    """Sends `count` numbered frames at `rate` a second, for `seconds` at most; prints how many went out, and in what time.

    A frame's number is in two parts: of the batch, in memory that all its messages share, so that one change numbers them
    all, and its place within the batch.
    """
    batch = 256
    libc = ctypes.CDLL(None, use_errno=True)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((interface, 0))
        out.setsockopt(263, 20, 1)  # SOL_PACKET, PACKET_QDISC_BYPASS
        head = ctypes.create_string_buffer(struct.pack(HEAD, *ENDS, ETHERTYPE, 0), struct.calcsize(HEAD))
        rest = SIZE - len(head)
        places = ctypes.create_string_buffer(b"".join(struct.pack("!H", n).ljust(rest, b"\0") for n in range(batch)), batch * rest)
        parts = (Part * (2 * batch))()
        messages = (Message * batch)()
        for n in range(batch):
            parts[2 * n] = Part(ctypes.addressof(head), len(head))
            parts[2 * n + 1] = Part(ctypes.addressof(places) + n * rest, rest)
            messages[n] = Message(None, 0, ctypes.addressof(parts[2 * n]), 2, None, 0, 0, 0)
        sent, began = 0, time.monotonic()
        while sent < count and (now := time.monotonic() - began) < seconds:
            size = min(batch, count - sent, int(now * rate) - sent)
            if size < min(batch, count - sent):
                time.sleep(0.0002)
                continue
            struct.pack_into(HEAD, head, 0, *ENDS, ETHERTYPE, sent)
            done = libc.sendmmsg(out.fileno(), messages, size, 0)
            if done < 0:
                if ctypes.get_errno() in (errno.ENOBUFS, errno.EAGAIN):
                    continue
                break  # the interface is gone
            sent += done
        print(json.dumps({"sent": sent, "seconds": time.monotonic() - began}))


# ------------------------------------------------------------------------------------------------ reading

def blocks(data):
    """Type, body and end of each whole block, as the specification says; little-endian."""
    at = 0
    while at + 12 <= len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if length < 12 or at + length > len(data):
            return
        yield kind, at + 8, at + length - 4
        at += length


def read(file):
    """Numbers and times of the frames, the statistics where there are any, and bytes that are no whole block."""
    data = Path(file).read_bytes()
    numbers, times, statistics, end = [], [], None, 0
    for kind, body, stop in blocks(data):
        if kind == 6:
            _, high, low, kept = struct.unpack_from("<IIII", data, body)
            ethertype, number, place = struct.unpack_from("!HQH", data, body + 20 + 12)
            if ethertype != ETHERTYPE or kept != SIZE:
                raise net.LabError(f"{file}: a frame that nobody sent")
            numbers.append(number + place)
            times.append(high << 32 | low)
        if kind == 5:
            statistics, at = {}, body + 12
            while at + 4 <= stop:
                code, length = struct.unpack_from("<HH", data, at)
                if code in (4, 5, 7, 8):
                    statistics[{4: "received", 5: "dropped_by_interface", 7: "dropped", 8: "delivered"}[code]] = struct.unpack_from("<Q", data, at + 4)[0]
                at += 4 + (length + 3) // 4 * 4
        end = stop + 4
    return numbers, times, statistics, len(data) - end


def gaps(numbers):
    """Numbers missing between the first and the last."""
    return numbers[-1] - numbers[0] + 1 - len(numbers) if numbers else 0


# ------------------------------------------------------------------------------------------------ the lab

class Pair:
    """A namespace with a veth pair, `out` and `in`, while the `with` block runs."""

    def __init__(self, metaleak, folder):
        self.metaleak, self.folder = metaleak, Path(folder)
        self.name = f"mlr{os.getpid()}"
        self.running = []

    def __enter__(self):
        try:
            net.call("ip", "netns", "add", self.name)
            self.inside("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
            self.link()
            if json.loads(self.inside("ip", "-j", "route", "show", "table", "main") or "[]"):
                raise net.LabError("the namespace has a route: it is not closed")
        except BaseException:
            self.__exit__()
            raise
        return self

    def link(self):
        """Makes the pair, anew where it was taken away."""
        net.call("ip", "-n", self.name, "link", "add", "out", "type", "veth", "peer", "name", "in")
        for end in ("out", "in"):
            net.call("ip", "-n", self.name, "link", "set", end, "up")
        for _ in range(100):
            if all(l["operstate"] == "UP" for l in json.loads(self.inside("ip", "-j", "link", "show", "type", "veth"))):
                return
            time.sleep(0.02)
        raise net.LabError("the veth pair does not come up")

    def __exit__(self, *_exc):
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.wait()
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)

    def inside(self, *argv):
        return net.call("ip", "netns", "exec", self.name, *argv)

    def start(self, *argv):
        process = subprocess.Popen(["ip", "netns", "exec", self.name, *map(str, argv)], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.running.append(process)
        return process

    def record(self, file, *arguments, ready=True):
        """Starts the recorder and waits until it says that it captures."""
        process = self.start(self.metaleak, "capture", "-i", "in", "-o", file, *arguments)
        process.said = ""
        while ready and "capturing on" not in process.said:
            line = process.stderr.readline()
            if not line:
                raise net.LabError(f"the recorder ended: {process.said}")
            process.said += line
        return process

    def sender(self, rate, count, seconds):
        return self.start(sys.executable, __file__, "--send", "out", rate, count, seconds)

    def received(self):
        """Packets that came in at the recorded end, as the kernel counts them for the interface."""
        stats = json.loads(self.inside("ip", "-j", "-s", "link", "show", "in"))[0]["stats64"]["rx"]
        return stats["packets"]

    def end(self, process, number=None, within=10):
        """Waits for the end, after a signal; gives exit code, all that was said, and how long it took."""
        began = time.monotonic()
        if number is not None:
            process.send_signal(number)
        try:
            _, said = process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            raise net.LabError(f"the recorder does not end within {within} s of signal {number}") from None
        return process.returncode, process.said + said, time.monotonic() - began


def sent(process):
    """What a sender says that it sent."""
    out, said = process.communicate(timeout=SECONDS * 3)
    if process.returncode != 0:
        raise net.LabError(f"the sender failed: {said[-500:]}")
    return json.loads(out)


def expect(what, found):
    if not found:
        raise net.LabError(what)


def frames_of(metaleak, file):
    """Frames that our own reader finds, and whether it found the file whole."""
    report = json.loads(net.call(metaleak, "replay", file, "--format", "json", timeout=300))
    entry = report["inputs"][0]
    return entry["frames"], entry["truncated"], entry


# ------------------------------------------------------------------------------------------------ the cases

def load(lab):
    """The highest rate up to RATE for SECONDS: every packet that the interface took is in the file."""
    file = lab.folder / "load.pcapng"
    before = lab.received()
    recorder = lab.record(file, "--buffer", 256)
    said = sent(lab.sender(RATE, RATE * SECONDS, SECONDS + 10))
    time.sleep(0.2)
    came = lab.received() - before
    code, text, _ = lab.end(recorder, signal.SIGINT, 60)
    numbers, times, statistics, rest = read(file)
    rate = said["sent"] / said["seconds"]
    expect(f"exit {code}: {text}", code == 0 and rest == 0)
    expect(f"{len(numbers)} frames of {came} that came in: {statistics}", len(numbers) == came == statistics["received"])
    expect(f"dropped: {statistics}", statistics["dropped"] == 0)
    expect("times step back", all(a <= b for a, b in zip(times, times[1:])))
    if shutil.which("capinfos"):
        table = net.call("capinfos", "-TMrc", file, timeout=120)
        expect(f"capinfos: {table}", table.split()[-1] == str(len(numbers)))
    file.unlink()
    return f"{said['sent']} frames in {said['seconds']:.1f} s, {rate:,.0f} a second (asked: {RATE:,}); the interface took {came}, all written, none dropped"


def drops(lab):
    """A recorder that is held up, with a small buffer: what is missing is what it says is missing."""
    file = lab.folder / "drops.pcapng"
    before = lab.received()
    recorder = lab.record(file, "--buffer", 1)
    pid = recorder.pid
    sender = lab.sender(50_000, 100_000, 10)
    time.sleep(0.5)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(1)
    os.kill(pid, signal.SIGCONT)
    sent(sender)
    time.sleep(0.2)
    came = lab.received() - before
    code, text, _ = lab.end(recorder, signal.SIGINT)
    numbers, _, statistics, _ = read(file)
    lost = came - len(numbers)
    expect(f"exit {code}: {text}", code == 0)
    expect(f"{lost} are missing, and {statistics} says otherwise", lost == statistics["dropped"] > 0 and statistics["received"] == came)
    expect(f"not told: {text}", f"dropped {lost} (" in text and "dropped so far" in text)
    note = json.loads((lab.folder / "drops.run.json").read_text())["recording"]
    expect(f"run.json: {note}", note["dropped"] == lost and note["frames"] == len(numbers))
    return f"{came} came in, {lost} dropped while the recorder was held, all of them counted"


def by_signal(number):
    def case(lab):
        name = signal.Signals(number).name
        file = lab.folder / f"{name}.pcapng"
        recorder = lab.record(file)
        sender = lab.sender(50_000, 10**9, 4)
        time.sleep(1.5)
        at = time.time()
        code, text, took = lab.end(recorder, number)
        sender.kill()
        numbers, times, statistics, rest = read(file)
        late = at - times[-1] / 1e9
        expect(f"{gaps(numbers)} frames are missing: {statistics}", gaps(numbers) == 0 and numbers[0] == 0)
        if number == signal.SIGKILL:
            expect(f"exit {code}", code == -number)
            expect(f"the last frame is {late:.3f} s older than the kill", late < 0.5)
            frames, truncated, _ = frames_of(lab.metaleak, file)
            expect(f"our reader: {frames} of {len(numbers)}", frames == len(numbers) and truncated == (rest > 0))
            if shutil.which("tshark"):
                # It tells by its exit code that the last block is cut, and gives the frames before.
                lines = net.call("tshark", "-r", file, "-T", "fields", "-e", "frame.number", check=False, timeout=120).split()
                expect(f"tshark: {lines[-1:]} of {len(numbers)}", lines[-1] == str(len(numbers)))
        else:
            expect(f"exit {code}: {text}", code == 0 and rest == 0)
            expect(f"the end took {took:.2f} s", took < 1)
            left = statistics["received"] - statistics["dropped"] - len(numbers)
            expect(f"{left} frames that the kernel had are not in the file", left <= 50)
            expect(f"the last frame is {late:.3f} s older than the signal", late < 0.1)
        return f"{len(numbers)} frames without a gap, the last {late * 1000:.1f} ms before the signal; ended after {took * 1000:.0f} ms"

    return case


def disk_full(lab):
    """A file system of 6 MiB fills: clear words, exit 4, a file that opens, with its statistics and its description."""
    disk = lab.folder / "disk"
    disk.mkdir()
    net.call("mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk)
    try:
        file = disk / "full.pcapng"
        recorder = lab.record(file, "--mark-from", "stdin")
        recorder.stdin.write("idle\n")
        recorder.stdin.flush()
        sender = lab.sender(50_000, 200_000, 6)
        code, text, _ = lab.end(recorder, within=20)
        sender.kill()
        numbers, _, statistics, rest = read(file)
        expect(f"exit {code}: {text}", code == 4)
        expect(f"not told: {text}", "No space left" in text and "frames are lost" in text)
        expect(f"the file: {rest} bytes cut off, {statistics}", rest == 0 and statistics)
        expect(f"{gaps(numbers)} frames are missing within", gaps(numbers) == 0)
        frames, truncated, entry = frames_of(lab.metaleak, file)
        expect(f"our reader: {frames}", frames == len(numbers) and not truncated)
        note = entry["run"]["recording"]
        expect(f"run.json: {note}", note["ended"] == "unwritable" and note["frames"] == len(numbers))
        expect(f"run.json: {note}", note["not_written"] == statistics["delivered"] - len(numbers))
        expect("no mark in run.json", entry["run"]["marks"][0]["step"] == "idle")
        return f"{len(numbers)} frames kept, {note['not_written']} told as lost, exit 4, file whole"
    finally:
        net.call("umount", disk)


def interface_removed(lab):
    """The interface is taken away: clear words, exit 4, and all that came before is in the file."""
    file = lab.folder / "removed.pcapng"
    recorder = lab.record(file)
    said = sent(lab.sender(5_000, 5_000, 3))
    net.call("ip", "-n", lab.name, "link", "del", "in")
    try:
        code, text, took = lab.end(recorder)
    finally:
        lab.link()
    numbers, _, statistics, rest = read(file)
    expect(f"exit {code}: {text}", code == 4 and "gone" in text)
    expect(f"{len(numbers)} of {said['sent']}, {rest} bytes cut off", len(numbers) == said["sent"] and rest == 0 and statistics)
    note = json.loads(file.with_suffix(".run.json").read_text())["recording"]
    expect(f"run.json: {note}", note["ended"] == "interface-gone" and note["frames"] == len(numbers))
    return f"{len(numbers)} frames kept, exit 4 after {took * 1000:.0f} ms: {text.strip().splitlines()[-1][:120]}"


def interface_down(lab):
    """The interface goes down and comes back, as a wireless one does: the recording goes on."""
    file = lab.folder / "down.pcapng"
    recorder = lab.record(file)
    first = sent(lab.sender(5_000, 2_000, 3))["sent"]
    net.call("ip", "-n", lab.name, "link", "set", "in", "down")
    time.sleep(0.5)
    net.call("ip", "-n", lab.name, "link", "set", "in", "up")
    time.sleep(0.5)
    second = sent(lab.sender(5_000, 2_000, 3))["sent"]
    code, text, _ = lab.end(recorder, signal.SIGINT)
    numbers, _, statistics, rest = read(file)
    expect(f"exit {code}: {text}", code == 0 and rest == 0 and statistics)
    expect(f"{len(numbers)} of {first} and {second}", numbers == [*range(first), *range(second)])
    return f"{first} frames before and {second} after"


def marks(lab):
    """Each step's frames lie within its mark, by 50 ms at most; the marks are in comments and in the description."""
    file = lab.folder / "marks.pcapng"
    recorder = lab.record(file, "--mark-from", "stdin", "--app", "signal", "--vantage", "router@DE", "--note", "a lab test")
    written = []
    number = 0
    with net_socket(lab) as out:
        for step in ("register", "text-1to1", "idle", "text-1to1"):
            written.append((step, time.time()))
            recorder.stdin.write(f"{step}\n")
            recorder.stdin.flush()
            begin = number
            for _ in range(5):
                time.sleep(0.03)
                out(number)
                number += 1
            ended = time.time()
            recorder.stdin.write("\n")
            recorder.stdin.flush()
            written[-1] += (ended, begin, number)
            time.sleep(0.12)
    code, text, _ = lab.end(recorder, signal.SIGTERM)
    expect(f"exit {code}: {text}", code == 0)
    numbers, times, _, _ = read(file)
    expect(f"{len(numbers)} frames", numbers == list(range(number)))
    run = frames_of(lab.metaleak, file)[2]["run"]
    expect(f"run.json: {run}", (run["messenger"], run["vantage"], run["place"], run["steps"]) == ("signal", "router", "DE", ["register", "text-1to1", "idle"]))
    worst = 0
    stamp = lambda text: float(net.call("date", "-d", text, "+%s.%N"))
    for mark, (step, start, end, first, last) in zip(run["marks"], written, strict=True):
        expect(f"{mark} is not {step}", mark["step"] == step)
        begins, ends = stamp(mark["start"]), stamp(mark["end"])
        worst = max(worst, abs(begins - start), abs(ends - end))
        inside = all(begins - 0.05 <= times[n] / 1e9 <= ends + 0.05 for n in range(first, last))
        expect(f"frames of {step} are outside of its mark", inside)
        outside = [t for n, t in enumerate(times) if not first <= n < last]
        expect(f"frames of others within {step}", not any(begins + 0.05 <= t / 1e9 <= ends - 0.05 for t in outside))
    expect(f"a mark is {worst * 1000:.1f} ms off", worst < 0.05)
    said = ""
    if shutil.which("tshark"):
        rows = net.call("tshark", "-r", file, "-T", "fields", "-e", "frame.number", "-e", "frame.comment", "-e", "frame.interface_name").splitlines()
        commented = {int(r.split("\t")[0]): r.split("\t")[1] for r in rows if r.split("\t")[1]}
        expect(f"comments by tshark: {commented}", set(commented) == {1, 6, 11, 16} and '"register" begins' in commented[1])
        expect("interface by tshark", all(r.split("\t")[2] == "in" for r in rows))
        said = ", as tshark reads their comments"
    return f"{len(written)} steps, the times of marks off by {worst * 1000:.2f} ms at most{said}"


class net_socket:
    """A socket of the namespace: this process goes in for the moment of making it."""

    def __init__(self, lab):
        self.lab = lab

    def __enter__(self):
        libc = ctypes.CDLL(None, use_errno=True)
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.lab.name}", os.O_RDONLY)
        try:
            if libc.setns(there, 0x40000000) != 0:
                raise net.LabError("cannot enter the namespace")
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            self.socket.bind(("out", 0))
        finally:
            libc.setns(home, 0x40000000)
            os.close(home)
            os.close(there)
        frame = lambda n: struct.pack(HEAD, *ENDS, ETHERTYPE, n).ljust(SIZE, b"\0")
        return lambda n: self.socket.send(frame(n))

    def __exit__(self, *_exc):
        self.socket.close()


CASES = {
    "load": load,
    "drops": drops,
    "sigint": by_signal(signal.SIGINT),
    "sigterm": by_signal(signal.SIGTERM),
    "sigkill": by_signal(signal.SIGKILL),
    "disk-full": disk_full,
    "interface-removed": interface_removed,
    "interface-down": interface_down,
    "marks": marks,
}


def main():
    if sys.argv[1:2] == ["--send"]:
        send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
        return 0
    metaleak = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2] / "target/debug/metaleak").resolve()
    why = net.why_not() or (None if metaleak.exists() else f"{metaleak} is not built")
    if why is None and "live" not in net.call(metaleak, "doctor", check=False).splitlines()[0]:
        why = f"{metaleak} was built without live capture"
    if why:
        print(f"skipped: recorder: {why}")
        return 0
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _frame: sys.exit(128 + n))
    wrong = 0
    with tempfile.TemporaryDirectory() as folder, Pair(metaleak, folder) as lab:
        for name in sys.argv[2:] or CASES:
            try:
                print(f"ok    {name}: {CASES[name](lab)}", flush=True)
            except net.LabError as e:
                wrong += 1
                print(f"WRONG {name}: {e}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
