# The words of metaleak's reports, English. Same ids and variables as in de.ftl; a test compares the two.
# Numbers arrive as counts and are written with the language's separators.

## Verdicts (DESIGN.md, "Verdicts")
verdict-supported = supported
verdict-contradicted = contradicted
verdict-not-contradicted = not contradicted
verdict-inconclusive = inconclusive
verdict-documentary = documents only
count-supported = { $n } supported
count-contradicted = { $n } contradicted
count-not-contradicted = { $n } not contradicted
count-inconclusive = { $n } inconclusive
count-documentary = { $n } documents only
meaning-supported = The recorded traffic shows what the claim says. The frames are listed.
meaning-contradicted = The recorded traffic shows the opposite of what the claim says. The frames are listed.
meaning-not-contradicted = The claim says that something does not happen. The scenario gave it the chance to happen, and it
    was not seen. How much that says depends on the detection power: the share of planted leaks that the same detector found.
meaning-inconclusive = These captures cannot decide the claim. The reason stands beside the verdict. It says nothing for and
    nothing against the messenger.
meaning-documentary = Traffic cannot decide it at all (a price, a licence, what happens inside a server). Only documents can;
    they are named with their date.

## Reasons for "inconclusive"
reason-not-exercised = not exercised
reason-opaque = not readable
reason-too-few-runs = too few runs
reason-control-failed = control failed
reason-vantage-unsuitable = unsuitable vantage
reason-meaning-not-exercised = no capture holds the action that the claim speaks of.
reason-meaning-opaque = the bytes that would decide it are encrypted or of an unknown format.
reason-meaning-too-few-runs = the effect needs more runs to tell it from chance.
reason-meaning-control-failed = the detector did not find the leaks planted to test it.
reason-meaning-vantage-unsuitable = from the place of recording the deciding traffic cannot be seen.

## Criteria
criterion-gdpr = GDPR
criterion-metadata = metadata
criterion-threshold = ease of use
criterion-long-gdpr = The GDPR is kept
criterion-long-metadata = No use or disclosure of connection and usage data
criterion-long-threshold = Easy to install, pay for and use

## Places and laws
agreement-all = all sources agree
agreement-majority = most sources agree
agreement-disagree = sources disagree
agreement-single = one source only
agreement-none = no source knows it
place-disputed = disputed: { $countries }
place-unknown = unknown
place-too-far = named, but too far: { $countries }
place-local = local network
place-sources = { $country }: { $sources }
why-place = by location
why-operator-seat = by the operator's seat
why-service-seat = by the seat of whose service it is
service-of = service of { $companies }
basis-eea = within the EEA
basis-adequacy = adequacy decision
basis-dpf = Data Privacy Framework, for certified organisations only
basis-none = no adequacy decision
basis-unknown = basis not known
unverified-seat = seat not looked up
unverified-dpf = certification (Data Privacy Framework) not looked up
unverified-decision = number and day of the decision not looked up
jurisdiction-unverified = { $country }, { $why }: { $basis } (as of { $date }); unverified: { $what }
law-source = rests on
place-many = many places at once
place-region = region { $region } of { $provider } ({ $source })
place-anycast = anycast, so in many places at once: { $who }
embedded-ipv4-mapped = the same end as { $address } (IPv4-mapped); judged by it
embedded-nat64 = { $address } behind a translator (NAT64); judged by it
embedded-6to4 = reached through the router { $address } (6to4); judged by it
name-dns = DNS answer
name-sni = TLS hello
name-certificate = certificate
name-http-host = HTTP
name-xmpp-to = XMPP
name-dns-hint = address hint of an HTTPS or SVCB record
name-dns-ptr = PTR record in the capture
name-reverse = reverse zone by the reference data, not seen in the traffic
name-expired = the answer had expired
name-groups = { $n ->
    [one] registered domain: { $domains }
   *[other] registered domains: { $domains }
}
jurisdiction = { $country }, { $why }: { $basis } (as of { $date })
rtt-bound = at most { $km } km away (round trip { $ms } ms)
rtt-seen = round trip { $ms } ms
rtt-too-far = too far: { $country }, at least { $km } km from { $place }
rtt-possible = { $n ->
    [one] near enough: { $n } country; this is the edge that answers, not the origin
   *[other] near enough: { $n } countries; this is the edge that answers, not the origin
}
rtt-no-bound = says nothing of the place: { $why }
rtt-note-vantage-unknown = it is not known where on the way was recorded
rtt-note-vantage-vpn = the VPN on the device answers by itself
rtt-note-vantage-server = recorded at the server's side
rtt-note-answered-locally = something on the way answers by itself
rtt-note-place-unknown = the country or point of the recording is not known
rtt-note-no-outline = no outline of the country of the recording is known

## Legal zones, and how exposed the destinations are
zone-ch = Switzerland
zone-eea = EEA
zone-adequate = adequacy decision
zone-us = USA
zone-other = other country
zone-unknown = country unknown or disputed
exposure-all = all flows
exposure-note = Bytes to and from public addresses. "Like 2.0 equal parts" says how spread out they are. An observer on the way
    sees the true name of a server in the places listed; one flow may show it in several. Third parties are all machines that are not
    the messenger's own, hosting and delivery networks included.
exposure-no-marks = Destinations before the first action of the user are not counted: no run of these captures notes when a step began.
exposure-no-action = Destinations before the first action of the user are not counted: the runs note no step but waiting.
exposure-spread = like { $parts } equal parts (entropy { $bits } bits, HHI { $hhi })
exposure-dns = { $share } DNS
exposure-sni = { $share } TLS hello
exposure-quic = { $share } QUIC hello
exposure-certificate = { $share } certificate
exposure-clear = { $share } clear protocol
exposure-ip-only = { $share } address only
exposure-ech = { $share } hidden (ECH)

## Roles of destinations
role-first-party = the messenger's own
role-hosting = rented hosting
role-cdn = content delivery network
role-push = push service
role-tracker = tracker
role-resolver = DNS resolver
role-relay = media relay
role-peer = other party of a call
role-time = time service
role-platform = operating system
role-unknown = unknown

## Findings
kind-credential = credential
kind-canary = planted secret
kind-identifier = identifier
kind-content = content
kind-cookie = cookie
kind-token = access token
kind-name = name
severity-info = info
severity-low = low
severity-medium = medium
severity-high = high
severity-critical = critical
direction-up = to the server
direction-down = from the server
vantage-router = on the path, outside of the device
vantage-vpn = on-device VPN
vantage-device = on the device itself
vantage-server = at the server
finding-decrypted = readable only with keys from the auditor
finding-clear = readable by anyone on the path
finding-count = { $count ->
    [one] once
   *[other] { $count } times
}
confidence-low = uncertain: other things look the same
confidence-medium = probable by its form
confidence-high = certain by its form or its name
encoding-chain = encoded as { $chain }

## Table in the terminal
column-claim = Claim
column-criterion = Criterion
column-verdict = Verdict
column-evidence = Evidence
column-messenger = Messenger
table-evidence = { $capture }: { $frames }
table-more = +{ $n }
table-none = No claims were judged.

## Frames and lists
frames = { $n ->
    [one] frame { $frames }
   *[other] frames { $frames }
}
frames-more = { $frames } and { $more } more
more-in-json = { $n } more in report.json
more-evidence = { $n } more places in report.json

## Charts
chart-countries = Bytes by destination country
chart-countries-note = A country is only called agreed where all sources name it. Databases place addresses; they prove no place.
chart-operators = Bytes by network operator
chart-operators-note = Who announces the network of the address. At a cloud or delivery network that is not the messenger itself.
chart-verdicts = Verdicts by messenger
chart-verdicts-note = Counts of claims, not a score: a messenger about which more is claimed has more to answer for.
chart-map = Where the destinations are said to stand
chart-map-note = Shaded by how far the sources agree; a disputed destination counts for each country named, but is not
    added to agreed bytes. Crossed out: named
    by a source, but too far for the round trip. Databases and distances prove no place.
map-struck-out = too far for the round trip
map-vantage = place of recording
chart-flow = From messenger to operator to country
chart-flow-note = As wide as the bytes; the colour is the legal zone of the country. The operator announces the network, and is not always
    the one who runs the server.
flow-no-messenger = no messenger
flow-no-country = unknown or disputed
chart-zones = Bytes by legal zone
chart-zones-note = By the country on which the sources agree. The law of an operator's seat elsewhere may apply as well; it stands with
    each destination.
chart-entropy = How dense the bytes of each flow are
chart-entropy-note = One triangle for each direction with 64 bytes of payload or more, larger the more bytes it has; the entropy is that of its first
    2 KiB. Encrypted counts only what follows a handshake that was parsed. Compression and media are as dense: what is known by neither
    structure nor handshake is opaque, however random it looks.
chart-class = Class
chart-directions = Directions
chart-median-entropy = Median, bits a byte
chart-range-entropy = From – to
chart-bits = bits a byte
chart-up = from the client
chart-down = from the server
chart-left-out = { $n } smaller ones are not drawn
content-cleartext = in clear
content-compressed = compressed
content-media = media
content-encrypted = encrypted
content-opaque = opaque
chart-zone = Zone
chart-country = Country
chart-operator = Operator
chart-bytes = Bytes
chart-disputed = Disputed bytes
chart-share = Share
chart-agreement = Sources
chart-rest = { $n } others
operator-unknown = operator unknown
operator-asn = { $name } (AS{ $asn })
claims-n = { $n ->
    [one] { $n } claim
   *[other] { $n } claims
}
chart-as-table = The same as a table

## The page
page-title = What the messengers told the network
page-lead = { $captures ->
    [one] { $captures } capture
   *[other] { $captures } captures
}, { $frames } frames, { $bytes }; { $claims ->
    [one] { $claims } claim
   *[other] { $claims } claims
} about { $messengers ->
    [one] { $messengers } messenger
   *[other] { $messengers } messengers
}.
page-span = Recorded between { $from } and { $to }.
page-span-none = The captures hold no times.
page-made-by = Made by { $tool } { $version }. The same captures, claims and reference data give the same page.
page-masked = Personal data in findings is masked.
page-english = Notes on evidence, some of the findings, reasons of roles, sources and warnings are in English, as the program and its data files have them.
skip-link = Skip to the verdicts
nav-label = Parts of this report
section-overview = Overview
section-verdicts = Verdicts by messenger
section-charts = At a glance
section-destinations = Destinations
section-exposure = Exposure in numbers
section-findings = Findings
section-inputs = Captures
section-coverage = Coverage
section-warnings = Warnings
section-reference = Reference data
section-wireshark = Checking a frame in Wireshark
section-meaning = What the verdicts mean
overview-note = Claims by verdict and criterion. A dash means that no claim of this kind was judged.
undecided = { $n ->
    [one] { $n } claim that these captures cannot decide
   *[other] { $n } claims that these captures cannot decide
}
claim-evidence = Evidence
claim-control = Positive control: { $found } of { $planted } planted leaks found; detection power { $power }, 95 % interval { $low } to { $high }.
claim-control-destination = Positive control: { $found } of { $planted } planted connections to another country and operator stood among the destinations with both; detection power { $power }, 95 % interval { $low } to { $high }.
claim-control-tracker = Positive control: { $found } of { $planted } planted connections to trackers stood among the destinations as such; detection power { $power }, 95 % interval { $low } to { $high }.
claim-control-rule = Positive control of the rules for readable bytes: { $found } of { $planted } planted examples found; detection power { $power }, 95 % interval { $low } to { $high }.
claim-control-call = Positive control: { $found } of { $planted } planted calls straight to the other party were read as such; detection power { $power }, 95 % interval { $low } to { $high }.
claim-control-rest = Positive control: { $found } of { $planted } planted bursts in the time of rest were read as no rest; detection power { $power }, 95 % interval { $low } to { $high }.
claim-control-missed = Rules of which nothing was found: { $rules }.
claim-no-control = No positive control ran, so the detection power is unknown.
claim-sources = Sources of the claim
filter-label = Wireshark filter
no-claims = No claims were judged.
no-findings = Nothing readable that should not be was found. That holds for what could be read: see the coverage below.
no-destinations = No destinations were seen.
no-warnings = No faults of the captures were met.
warning-data-age = Addresses of { $capture } judged with data of { $data } (newest source used { $newest }, oldest { $source } of { $oldest }): { $what }
warning-networks-changed = networks may have changed hands since
warning-data-older = more than 12 months older than the capture: { $sources }
no-inputs = No capture could be read.
no-reference = No reference data took part.
destinations-note = Largest first. Each source of a place is named; where they differ, no country is asserted.
findings-note = Most severe first.
coverage-note = Every byte of a capture belongs to exactly one class. What could not be read is counted as well.
column-file = File
column-sha256 = SHA-256
column-frames = Frames
column-size = Size
column-recorded = Recorded
column-run = How it was made
column-address = Address and names
column-destinations = Destinations
column-countries = Countries
column-operators = Operators
column-third = Third parties
column-names = Names visible
column-before = Before the first action
column-operator = Operator
column-place-by-source = Places by source
column-place = Place
column-jurisdiction = Law
column-role = Role
column-bytes = Bytes
column-severity = Severity
column-kind = Kind
column-what = What
column-where = Where
column-capture = Capture
column-classes = Classes
column-offset = Byte
column-frame = Frame
column-source = Source
column-as-of = As of
column-licence = Licence
column-attribution = Attribution
bytes-up-down = { $up } up, { $down } down
year-note = As it was in { $year }; apps and servers may have changed since.
year-none = The capture's clock was not set.
truncated = ends early: cut off or faulty
run-unknown = not known
run-app = App: { $app }
run-device = Device: { $device }
run-vantage = Vantage: { $vantage }
run-place = Place: { $place }
run-recorder = Recorder: { $recorder }
run-steps = Steps: { $steps }
run-messenger = Messenger: { $messenger }
seen = { $flows ->
    [one] { $flows } flow
   *[other] { $flows } flows
}, first in frame { $frame } of { $capture }
role-because = because:
used-by = used by { $messengers }
flow-n = flow { $flow }
all-captures = All captures together
each-capture = Each capture by itself
wireshark-1 = Open the capture named beside the evidence. Its SHA-256 in the table of captures tells whether it is the same file.
wireshark-2 = Copy the Wireshark filter into the filter line above the list of packets and press Enter.
wireshark-3 = Frame numbers are those in Wireshark's first column, "No."; Ctrl+G jumps to one.
wireshark-4 = A message spread over several frames is shown by Wireshark at the last of them.
wireshark-5 = Decrypted messages need the key log: Preferences, Protocols, TLS, "(Pre)-Master-Secret log filename".
footer = metaleak reports what was seen in these captures, not all that an app can do.

## Names of messengers, by the id of their claims
messenger-whatsapp = WhatsApp
messenger-messenger = Facebook Messenger
messenger-telegram = Telegram
messenger-signal = Signal
messenger-wire = Wire
messenger-threema = Threema
messenger-conversations = Conversations (XMPP)
messenger-caritas = Caritas counselling platform

## Classes of the coverage ledger; a class without a message is shown by its id
ledger-dns = DNS
ledger-dtls-application = DTLS, encrypted
ledger-dtls-decrypted = DTLS, decrypted
ledger-dtls-handshake = DTLS handshake
ledger-dtls-null = DTLS without encryption, read in clear
ledger-dtls-undecrypted = DTLS, not opened by the keys at hand
ledger-dtls-unverified = DTLS records without a handshake seen
ledger-file = file structure
ledger-fragment = parts of fragmented packets
ledger-ftp = FTP
ledger-http-body = HTTP bodies
ledger-http-body-undecoded = HTTP bodies that were not unpacked
ledger-http-header = HTTP headers
ledger-http-unparsed = HTTP, not understood
ledger-http2-body = HTTP/2 bodies
ledger-http2-body-undecoded = HTTP/2 bodies that were not unpacked
ledger-http2-control = HTTP/2 control frames
ledger-http2-header = HTTP/2 headers
ledger-http2-unparsed = HTTP/2, not understood
ledger-imap = IMAP
ledger-ipsec = IPsec
ledger-ipsec-ike = IKE (key exchange of IPsec)
ledger-irc = IRC
ledger-ldap = LDAP
ledger-link = link layer
ledger-link-other = frames without IP
ledger-lost = lost or missing
ledger-malformed = broken headers
ledger-mqtt = MQTT
ledger-mtproto-handshake = MTProto handshake
ledger-mtproto-messages = MTProto, encrypted
ledger-mysql = MySQL
ledger-network = network layer
ledger-opaque = not readable
ledger-openvpn = OpenVPN
ledger-openvpn-control = OpenVPN control channel
ledger-overlong = beyond the reading limit
ledger-padding = padding
ledger-pop3 = POP3
ledger-postgres = PostgreSQL
ledger-quic-application = QUIC, encrypted
ledger-quic-decrypted = QUIC, decrypted
ledger-quic-handshake = QUIC handshake
ledger-quic-handshake-encrypted = QUIC handshake, encrypted
ledger-quic-undecrypted = QUIC, not opened by the keys at hand
ledger-quic-unverified = QUIC packets without a handshake seen
ledger-rtcp = RTCP
ledger-rtp = RTP media
ledger-sip = SIP
ledger-smtp = SMTP commands
ledger-smtp-data = mails over SMTP
ledger-socks = SOCKS
ledger-srtp = SRTP media, encrypted
ledger-stun = STUN
ledger-tcp-reset = bytes in TCP resets
ledger-tcp-retransmission = TCP retransmissions
ledger-tcp-stray = TCP segments far outside the window
ledger-text = readable text
ledger-threema-frames = Threema, encrypted
ledger-threema-handshake = Threema handshake
ledger-tls-application = TLS, encrypted
ledger-tls-decrypted = TLS, decrypted
ledger-tls-handshake = TLS handshake
ledger-tls-null = TLS without encryption, read in clear
ledger-tls-undecrypted = TLS, not opened by the keys at hand
ledger-tls-unverified = TLS records without a handshake seen
ledger-transport = transport layer
ledger-tunnel = tunnel headers
ledger-turn-relayed = relayed by TURN
ledger-unread = rest of the file, not read
ledger-unsupported = layers that are not read
ledger-websocket = WebSocket
ledger-websocket-unparsed = WebSocket, not understood
ledger-whatsapp-frames = WhatsApp, encrypted
ledger-whatsapp-frames-unverified = WhatsApp frames without a handshake seen
ledger-whatsapp-handshake = WhatsApp handshake
ledger-whatsapp-login = WhatsApp log-in in clear
ledger-wireguard = WireGuard
ledger-wireguard-handshake = WireGuard handshake
ledger-xmpp = XMPP
ledger-xmpp-compressed = XMPP, compressed
ledger-zrtp = ZRTP handshake

## Countries, by ISO 3166 code; one without a message is shown by its code
country-AE = United Arab Emirates
country-AR = Argentina
country-AT = Austria
country-AU = Australia
country-BE = Belgium
country-BG = Bulgaria
country-BR = Brazil
country-CA = Canada
country-CH = Switzerland
country-CL = Chile
country-CN = China
country-CY = Cyprus
country-CZ = Czechia
country-DE = Germany
country-DK = Denmark
country-EE = Estonia
country-ES = Spain
country-EU = Europe, country unknown
country-FI = Finland
country-FR = France
country-GB = United Kingdom
country-GR = Greece
country-HK = Hong Kong
country-HR = Croatia
country-HU = Hungary
country-ID = Indonesia
country-IE = Ireland
country-IL = Israel
country-IN = India
country-IR = Iran
country-IS = Iceland
country-IT = Italy
country-JP = Japan
country-KR = South Korea
country-LI = Liechtenstein
country-LT = Lithuania
country-LU = Luxembourg
country-LV = Latvia
country-MT = Malta
country-MX = Mexico
country-MY = Malaysia
country-NL = Netherlands
country-NO = Norway
country-NZ = New Zealand
country-PH = Philippines
country-PL = Poland
country-PR = Puerto Rico
country-PT = Portugal
country-RO = Romania
country-RS = Serbia
country-RU = Russia
country-SA = Saudi Arabia
country-SE = Sweden
country-SG = Singapore
country-SI = Slovenia
country-SK = Slovakia
country-TH = Thailand
country-TN = Tunisia
country-TR = Türkiye
country-TW = Taiwan
country-UA = Ukraine
country-US = United States
country-VG = British Virgin Islands
country-VN = Vietnam
country-ZA = South Africa

## The program
study-page = Report

## What `claims show` prints
show-contradicts = Contradicted by
show-control = Control
show-criterion = Criterion
show-decided-by = Decided by
show-id = Claim
show-note = Note
show-section = Comparison
show-shows = Listed anyway
show-source = Source
show-steps = Steps needed
show-superseded = Superseded
show-supports = Supported by
show-text = Says
show-undecided = To decide it
show-vantage = Taken at

## Calls

section-calls = Calls
calls-note = How much of sound and pictures went directly to the other party and not over a relay, and which of its addresses an observer could read.
    A relay hides each side's address from the other one. Answered means the first success to an INVITE in SIP; where none was
    recorded, the first packet of media. A server is a conference bridge or a gateway: it hides the addresses as a relay does, and who runs
    it takes part in the call.
column-call = Call
column-flows = Flows
column-media = Media
column-direct = Directly to the peer
column-servers = To servers
column-peer-addresses = Addresses of the peer in clear
column-before-answer = Of these before the answer
column-answer = Answered
call-address = { $address } ({ $kind }, frame { $frame })
call-address-shown = own address shown to it from frame { $frame } on
call-answer-sip = frame { $frame }, by SIP
call-answer-media = frame { $frame }, by the first media
call-answer-none = not in the capture
call-line = { $label }: { $media } of media, { $share } directly to the peer{ $servers }; { $exposed } { $exposed ->
        [one] address
       *[other] addresses
    } of the peer in clear, { $before } before the answer{ $reached }
call-line-reached = ; own address shown to { $n } of them before it
call-line-servers = , { $share } to { $n ->
        [one] a server
       *[other] { $n } servers
    }

section-conclusions = Conclusions of the comparison
conclusions-note = Judgements have no verdict of their own. Beside each stands what became of the claims that it rests on: measured here, refuted, still open, no longer fitting, or resting on documents.
column-conclusion = Judgement
column-premises = Its premises
premises-measured = { $n } measured
premises-not-refuted = { $n } not refuted
premises-refuted = { $n } refuted
premises-open = { $n } open
premises-documentary = { $n } on documents
premises-superseded = { $n } no longer fitting
premise-negated = Not:
conclusion-line = { $messenger }: { $text } – { $states }
section-own-criteria = Own criteria
own-criteria-note = A criterion is met when all its claims are measured or not refuted, failed when one is refuted, and open otherwise. Weights are those of the criteria file.
criterion-weight = weight { $weight }
outcome-met = met
outcome-failed = failed
outcome-open = open
column-total = Weight
criteria-total = met { $met }, failed { $failed }, open { $open }
outcome-counted = not asked

# metaleak scenario
scenario-id = scenario
scenario-title = title
scenario-messenger = messenger
scenario-app = app
scenario-version = version
scenario-device = device
scenario-state = state
scenario-needs = needs
scenario-canary = canary
scenario-doses = doses
scenario-sha256 = SHA-256
scenario-dose-here = <dose>
scenario-times = { $text } ({ $times } times)
scenario-expected = expected within { $seconds } s: { $text }
scenario-random = { $n ->
    [one] one trial
   *[other] { $n } trials in random order, seed { $seed }
  }
scenario-as-written = { $n ->
    [one] one trial
   *[other] { $n } trials in the order as written, seed { $seed } unused
  }
scenario-trial = repeat { $repeat }
scenario-trial-dose = dose { $dose }, repeat { $repeat }
scenario-trial-control = { $control }, repeat { $repeat }
scenario-control-idle-device = control: the device left alone
scenario-control-without-app = control: the device without the app
scenario-canary-text = text
scenario-canary-number = telephone number
scenario-canary-email = mail address
scenario-canary-person-name = name
scenario-canary-exif = position in EXIF data
scenario-device-android = Android
scenario-device-ios = iOS
scenario-device-desktop = desktop computer
scenario-device-browser = browser
scenario-device-terminal = terminal

## Several runs, and what to do next
runs-disagree = runs disagree
runs-line = { $verdict }: { $app }, { $day }, vantage { $vantage } ({ $n ->
    [one] 1 run
   *[other] { $n } runs
})
runs-unknown-app = program unknown
runs-unknown-day = day unknown
section-disagreements = Runs that do not agree
disagreement-line = { $claim }: { $kinds }
section-next = What would decide more
next-line = { $what } Open: { $claims }
claim-next = What would decide it
claim-runs = What runs show alone
claim-protects = Does a hash protect?
does-not-protect = does not protect
show-min-runs = runs needed
vantage-unknown = unknown
run-ended-complete = complete
run-ended-failed = a step failed
run-ended-interrupted = interrupted
run-ended-ended-by-hand = ended by hand
run-ended-device-lost = device lost
run-ended-capture-ended = capture ended
run-step-counts = { $done } steps done, { $failed } not

# Runs beside control runs of the same device.
section-noise = Noise of the device
noise-note = What the same device sends without the app, or another app on it, is noise; claims about the app are judged by what remains.
    An end is the same by its name, transport and port, or by its address where it has no name. A flow that a signature, a name or a
    network ties to the messenger stays judged. Nothing is dropped: what is noise as well is marked. With the app left alone its own
    traffic goes on, so what is there when idle as well is marked only.
column-noise-run = Run
column-whole = Whole
column-noise = Device or other apps
column-remains = Remains
column-when-idle = Also when idle
column-also-seen = Ends that are not the run's alone
noise-recorder = told apart by the recorder on the device
noise-control = { $capture } ({ $kind }, { $seconds } s)
noise-control-without-app = without the app
noise-control-idle = app left alone
noise-kept = still judged: it is tied to the messenger by more than the run
noise-sum = { $flows } { $flows ->
        [one] flow
       *[other] flows
    } to { $ends } { $ends ->
        [one] end
       *[other] ends
    }, { $bytes }
noise-line = { $capture }: whole { $whole }; also without the app or of others { $noise }; remains { $remains }; also when idle { $idle }; compared with { $controls } { $controls ->
        [one] control run
       *[other] control runs
    }
also-without-app = also without the app
also-when-idle = also when idle
also-other-app = another app's

## Wordings that no longer fit
superseded = no longer fits the comparison's wording
superseded-since = no longer fits the comparison's wording, since { $since }
superseded-by = What holds today:
section-superseded = ↻ Wordings of the comparison that no longer fit
superseded-line = { $claim }: { $what }
superseded-line-by = { $claim }: { $what }; today: { $by }
valid-from = Holds from { $when } on.
valid-until = Held until { $when }.
overview-link = { $messenger }, { $criterion }: { $count }

## Predicates read aloud: quantifiers, subjects, conditions
say-any = { $subject ->
    [flows] at least one connection
    [destinations] at least one end
    [findings] at least one finding
    [names] at least one name
    [doses] at least one measure over address books
    [calls] at least one call
   *[steps] at least one step of a run
}
say-all = { $subject ->
    [flows] every connection, of which there is at least one
    [destinations] every end, of which there is at least one
    [findings] every finding, of which there is at least one
    [names] every name, of which there is at least one
    [doses] every measure over address books, of which there is at least one
    [calls] every call, of which there is at least one
   *[steps] every step of a run, of which there is at least one
}
say-none = { $subject ->
    [flows] no connection
    [destinations] no end
    [findings] no finding
    [names] no name
    [doses] no measure over address books
    [calls] no call
   *[steps] no step of a run
}
say-count = { $subject ->
    [flows] { $n } or more connections
    [destinations] { $n } or more ends
    [findings] { $n } or more findings
    [names] { $n } or more names
    [doses] { $n } or more measures over address books
    [calls] { $n } or more calls
   *[steps] { $n } or more steps of runs
}
say-share = { $subject ->
    [flows] in each recording at least { $share } of the connections
    [destinations] in each recording at least { $share } of the ends
    [findings] in each recording at least { $share } of the findings
    [names] in each recording at least { $share } of the names
    [doses] in each recording at least { $share } of the measures over address books
    [calls] in each recording at least { $share } of the calls
   *[steps] in each recording at least { $share } of the steps of runs
}
say-holds = this holds for { $who }: { $what }
say-among = { $what } (looking only at those of which holds: { $of })
say-present = it occurs
say-not = it is not so that { $what }
say-within-run = in one and the same run: { $what }
say-and = and
say-or-else = or
say-or = or
say-flows-encryption = encrypted with { $value }
say-flows-not-encryption = not encrypted with { $value }
say-flows-app-protocol = speaks { $value }
say-flows-transport = runs over { $value }
say-flows-port = server's port { $value }
say-flows-signature = its bytes have the form { $value }
say-flows-tls-version = negotiates { $value }
say-flows-ech = encrypted name in the hello (ECH): { $value }
say-flows-name = server's name is, or is below, { $value }
say-flows-clear-bytes-over = more than { $value } bytes in clear before the encryption began
say-flows-clear-messages-over = more than { $value } HTTP messages with content in clear (redirects, refusals and web pages do not count)
say-flows-read-yes = all of its payload was read
say-flows-read-no = some of its payload was not read
say-flows-with-payload-yes = carried something
say-flows-with-payload-no = carried nothing
say-flows-messenger-why = is the messenger's because of { $value }
say-flows-remains-yes = shown not to be the device's or another app's
say-flows-remains-no = not shown to be the app's by a control run
say-flows-cipher = cipher suite { $value }
say-flows-certificate-subject = subject of the server's certificate contains { $value }
say-flows-certificate-issuer = issuer of the server's certificate contains { $value }
say-flows-certificate-fault = fault of the certificate: { $value }
say-flows-to = of its other end holds: { $value }
say-destinations-country = sources place it in { $value }
say-destinations-not-country = sources place it elsewhere than in { $value }
say-destinations-agreement = agreement of the sources at least: { $value }
say-destinations-asn = network announced as AS { $value }
say-destinations-operator = operator's name contains { $value }
say-destinations-role = role: { $value }
say-destinations-not-role = role other than { $value }
say-destinations-jurisdiction = under the law of { $value }, by place or by a seat
say-destinations-basis = basis for transfers, of one law that applies: { $value }
say-destinations-not-basis = basis for transfers, of one law that applies, other than { $value }
say-destinations-seat = seat of the network's operator: { $value }
say-destinations-not-seat = seat of the network's operator elsewhere than { $value }
say-destinations-seat-basis = basis for transfers by the operator's seat: { $value }
say-destinations-service-seat = seat of the service's company: { $value }
say-destinations-not-service-seat = seat of the service's company elsewhere than { $value }
say-destinations-service-seat-basis = basis for transfers by the seat of the service's company: { $value }
say-destinations-place-law = law of the place: { $value }
say-destinations-not-place-law = law of the place other than { $value }
say-destinations-place-basis = basis for transfers by the place: { $value }
say-destinations-max-km-below = by the round trip less than { $value } km away
say-destinations-rtt-excludes = sources name { $value }, and the round trip is too short for them
say-destinations-rtt-leaves-out = the round trip is too short for an end in { $value }
say-destinations-known-yes = some source knows its operator or country
say-destinations-known-no = no source knows its operator or country
say-destinations-flow = of one of its connections holds: { $value }
say-findings-kind = kind: { $value }
say-findings-severity = weight at least { $value }
say-findings-encoding = encoded as { $value }
say-findings-canary = a planted secret named { $value } (or so with a number behind)
say-findings-rule = found by the rule { $value }
say-findings-confidence = confidence at least { $value }
say-findings-decrypted-yes = readable with keys only
say-findings-decrypted-no = readable in clear, without keys
say-findings-hashed-yes = as a hash
say-findings-hashed-no = not as a hash
say-findings-direction = sent { $value }
say-findings-runs-over = the same value in more than { $value } recordings
say-findings-flow = of its connection holds: { $value }
say-names-suffix = is, or is below, { $value }
say-names-source = seen in { $value }
say-names-own-yes = is a name of the app's own service
say-names-own-no = is no name of the app's own service
say-names-flow = of its connection holds: { $value }
say-doses-step = in the step { $value }
say-doses-class = all that went up: { $value }
say-doses-own-class = what surely is the app's own upload: { $value }
say-doses-form = the size of a contact fits { $value }
say-doses-bytes-per-contact-over = surely more than { $value } bytes a contact
say-doses-bytes-per-contact-below = surely less than { $value } bytes a contact
say-doses-power-at-least = a control found planted growth with a power of { $value } or more
say-calls-media-yes = with sound or pictures
say-calls-media-no = without sound and pictures
say-calls-direct-yes = media straight to the other side's address
say-calls-direct-no = no media straight to the other side's address
say-calls-relayed-yes = all media over relays or servers
say-calls-relayed-no = not all media over relays or servers
say-calls-flow = of one of its connections holds: { $value }
say-steps-step = the step { $value }
say-steps-planted = with a planted secret named { $value }
say-steps-seconds-over = lasted more than { $value } seconds
say-steps-bytes-per-hour-over = more than { $value } bytes an hour
say-steps-bytes-per-hour-below = less than { $value } bytes an hour
say-steps-own-bytes-per-hour-over = more than { $value } bytes an hour in connections that surely are the app's
say-value-encryption-tls1-3 = TLS 1.3
say-value-encryption-tls1-2 = TLS 1.2
say-value-encryption-tls1-1 = TLS 1.1
say-value-encryption-tls1-0 = TLS 1.0
say-value-encryption-ssl3-0 = SSL 3.0
say-value-encryption-ssl2-0 = SSL 2.0
say-value-encryption-dtls1-3 = DTLS 1.3
say-value-encryption-dtls1-2 = DTLS 1.2
say-value-encryption-dtls1-0 = DTLS 1.0
say-value-encryption-tls = TLS
say-value-encryption-dtls = DTLS
say-value-encryption-quic = QUIC
say-value-encryption-srtp = SRTP
say-value-encryption-mtproto = MTProto
say-value-encryption-noise = the Noise protocol
say-value-encryption-threema-csp = Threema's own protocol
say-value-encryption-none = nothing (read in clear)
say-value-encryption-opaque = what could not be read
say-value-encryption-empty = nothing, having no payload
say-value-ech-absent = absent
say-value-ech-outer = used
say-value-ech-unknown = perhaps used
say-value-messenger-why-signature = the form of its bytes
say-value-messenger-why-name = a name of the provider
say-value-messenger-why-turn-realm = the name that a relay asks to log in to
say-value-messenger-why-network = a network of the provider
say-value-messenger-why-shared = a name at an address that others share
say-value-messenger-why-socket = the socket of a call
say-value-messenger-why-service = the server that was chosen
say-value-messenger-why-run = the run's description alone
say-value-certificate-fault-expired = expired
say-value-certificate-fault-not-yet-valid = not yet valid
say-value-certificate-fault-expired-intermediate = an intermediate has expired
say-value-certificate-fault-not-yet-valid-intermediate = an intermediate is not yet valid
say-value-certificate-fault-self-issued = issued by itself
say-value-certificate-fault-self-signed = signed by itself
say-value-certificate-fault-name-mismatch = for another name
say-value-certificate-fault-weak-key = weak key
say-value-certificate-fault-weak-signature = weak signature
say-value-certificate-fault-chain-order = chain out of order
say-value-source-dns = a DNS answer
say-value-source-dns-hint = an address hint of DNS
say-value-source-sni = the TLS hello
say-value-source-certificate = the certificate
say-value-source-http-host = an HTTP request
say-value-source-xmpp-to = the header of an XMPP stream
say-value-source-turn-realm = the log-in that a relay asks for
say-value-source-dns-ptr = the reverse zone of DNS
say-value-source-ech-outer = the cover of an encrypted hello
say-value-source-decrypted = decrypted traffic
say-value-class-too-few-runs = too few runs to tell
say-value-class-nothing = does not grow with the address book
say-value-class-padded = grows in steps
say-value-class-per-contact = grows with each contact
say-value-class-unclear = unclear
say-value-confidence-low = low
say-value-confidence-medium = medium
say-value-confidence-high = high
say-value-basis-adequacy = an adequacy decision
say-value-basis-dpf = the Data Privacy Framework
say-value-basis-none = none
say-value-basis-unverified = not looked up
say-value-basis-eea = the EEA's law itself
show-by-traffic = captures
show-by-documents = documents only
show-absence = Absence
show-absence-says = It says that something does not happen: at best nothing speaks against it (not contradicted).
show-hash = Hash
show-hash-says = It says that numbers leave only as hashes: a second verdict says whether a hash protects them.
show-case = Undecided if
show-superseded-by = Holds today
show-supersedes = Instead of
show-valid-from = Holds from
show-valid-until = Held until
