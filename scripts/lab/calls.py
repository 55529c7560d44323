"""Calls: two real Chromium with WebRTC, one at the server calls the one at the client, once by a TURN server and once straight.

What the two tell each other to set the call up is carried by the recorder's own hand, so that a recording holds the call alone.
"""

import time

from .browser import Browser
from .net import RELAY, LabError

TURN_PORT = 3478
# The microphone is a built-in tone; nobody is asked for it. Own addresses are told as they are, for there is no mDNS between the hosts.
MEDIA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--disable-features=WebRtcHideLocalIpsWithMdns"]
SECONDS = 4

OPEN = """
window.pc = new RTCPeerConnection(args[0]);
const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
stream.getTracks().forEach(track => pc.addTrack(track, stream));
if (args[1]) await pc.setRemoteDescription({ type: 'offer', sdp: args[1] });
await pc.setLocalDescription();
if (pc.iceGatheringState !== 'complete')
  await new Promise(ready => pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && ready());
return pc.localDescription.sdp;
"""
FINISH = """
await pc.setRemoteDescription({ type: 'answer', sdp: args[0] });
for (let n = 0; n < 150 && pc.connectionState !== 'connected'; n++) await new Promise(r => setTimeout(r, 100));
return pc.connectionState;
"""
HEARD = """
let received = 0, kinds = [];
(await pc.getStats()).forEach(s => {
  if (s.type === 'inbound-rtp') received += s.packetsReceived;
  if (s.type === 'local-candidate') kinds.push(s.candidateType);
});
return [received, kinds];
"""


def turn_server(lab, folder, password):
    """coturn with one account."""
    log = folder / "coturn.log"
    server = lab.start("server", "turnserver", "-n", "--no-tls", "--no-dtls", "--no-cli", "-L", RELAY, "-E", RELAY, "-p", TURN_PORT, "-r", "relay.example",
                       "--lt-cred-mech", "-u", f"caller:{password}", "--min-port", 49160, "--max-port", 49170, "--log-file", "stdout",
                       "--pidfile", folder / "coturn.pid", "--userdb", folder / "coturn.db", log=log)
    lab.wait_port(server, RELAY, TURN_PORT)  # it opens TCP beside UDP
    return server


def call(lab, folder, canaries, relayed):
    """One call of a few seconds."""
    server = turn_server(lab, folder, canaries["password"])
    page = folder / "call.html"
    page.write_text("<!doctype html><title>Call</title><p>A call of the lab.</p>\n")
    turn = {"urls": f"turn:{RELAY}:{TURN_PORT}?transport=udp", "username": "caller", "credential": canaries["password"]}
    way = {"iceServers": [turn], "iceTransportPolicy": "relay"} if relayed else {"iceServers": [{"urls": f"stun:{RELAY}:{TURN_PORT}"}]}
    with Browser(lab, "server", folder / "caller", MEDIA) as caller, Browser(lab, "client", folder / "called", MEDIA) as called:
        for end in (caller, called):
            end.open(page.as_uri())
        yield
        offer = caller.run(OPEN, way)
        answer = called.run(OPEN, way, offer)
        state = caller.run(FINISH, answer)
        if state != "connected":
            raise LabError(f"the call is {state}: {(folder / 'coturn.log').read_text(errors='replace')[-1500:]}")
        time.sleep(SECONDS)
        for end in (caller, called):
            packets, kinds = end.run(HEARD)
            if packets < 20 * SECONDS or (relayed and set(kinds) != {"relay"}):
                raise LabError(f"one end heard {packets} packets and had addresses of the kinds {kinds}")
        caller.run("pc.close();")
        called.run("pc.close();")
        time.sleep(0.3)
    lab.stop(server)


def call_relay(lab, folder, certs, canaries):
    """Both ends use nothing but the TURN server (RFC 8656)."""
    yield from call(lab, folder, canaries, relayed=True)


def call_direct(lab, folder, certs, canaries):
    """The ends learn their addresses by STUN (RFC 8489) and speak straight to each other."""
    yield from call(lab, folder, canaries, relayed=False)
