# Die Wörter der metaleak-Berichte, deutsch. Gleiche Kennungen und Variablen wie in en.ftl; ein Test vergleicht beide.
# Zahlen kommen als Anzahlen an und werden mit den Trennzeichen der Sprache geschrieben.

## Urteile (DESIGN.md, "Verdicts")
verdict-supported = gestützt
verdict-contradicted = widerlegt
verdict-not-contradicted = nicht widerlegt
verdict-inconclusive = nicht entscheidbar
verdict-documentary = nur Dokumente
count-supported = { $n } gestützt
count-contradicted = { $n } widerlegt
count-not-contradicted = { $n } nicht widerlegt
count-inconclusive = { $n } nicht entscheidbar
count-documentary = { $n } nur Dokumente
meaning-supported = Der aufgezeichnete Verkehr zeigt, was die Behauptung sagt. Die Frames sind genannt.
meaning-contradicted = Der aufgezeichnete Verkehr zeigt das Gegenteil der Behauptung. Die Frames sind genannt.
meaning-not-contradicted = Die Behauptung sagt, dass etwas nicht geschieht. Das Szenario gab Gelegenheit dazu, und es war
    nicht zu sehen. Wie viel das besagt, hängt an der Trefferquote: dem Anteil absichtlich gelegter Lecks, die dieselbe Prüfung gefunden hat.
meaning-inconclusive = Diese Mitschnitte können die Behauptung nicht entscheiden. Der Grund steht beim Urteil. Es spricht
    weder für noch gegen den Messenger.
meaning-documentary = Netzverkehr kann das grundsätzlich nicht entscheiden (ein Preis, eine Lizenz, Vorgänge im Server). Das
    können nur Dokumente; sie sind mit Datum genannt.

## Gründe für „nicht entscheidbar“
reason-not-exercised = nicht ausgeführt
reason-opaque = nicht lesbar
reason-too-few-runs = zu wenige Läufe
reason-control-failed = Kontrolle misslungen
reason-vantage-unsuitable = Messpunkt ungeeignet
reason-meaning-not-exercised = kein Mitschnitt enthält die Handlung, um die es in der Behauptung geht.
reason-meaning-opaque = die entscheidenden Bytes sind verschlüsselt oder in unbekanntem Format.
reason-meaning-too-few-runs = es braucht mehr Läufe, um die Wirkung vom Zufall zu unterscheiden.
reason-meaning-control-failed = die Prüfung fand die Lecks nicht, die zu ihrer Kontrolle gelegt waren.
reason-meaning-vantage-unsuitable = am Ort der Aufzeichnung ist der entscheidende Verkehr nicht zu sehen.

## Kriterien
criterion-gdpr = DSGVO
criterion-metadata = Metadaten
criterion-threshold = Zugang
criterion-long-gdpr = Die DSGVO wird eingehalten
criterion-long-metadata = Keine Nutzung oder Weitergabe von Verbindungs- und Nutzungsdaten
criterion-long-threshold = Leicht zu installieren, zu bezahlen und zu bedienen

## Orte und Recht
agreement-all = alle Quellen einig
agreement-majority = Mehrheit der Quellen
agreement-disagree = Quellen uneinig
agreement-single = nur eine Quelle
agreement-none = keine Quelle kennt sie
place-disputed = strittig: { $countries }
place-unknown = unbekannt
place-too-far = genannt, aber zu weit weg: { $countries }
place-local = lokales Netz
place-sources = { $country }: { $sources }
why-place = nach Standort
why-operator-seat = nach Sitz des Betreibers
why-service-seat = nach Sitz dessen, dem der Dienst gehört
service-of = Dienst von { $companies }
basis-eea = im EWR
basis-adequacy = Angemessenheitsbeschluss
basis-dpf = Data Privacy Framework, nur für zertifizierte Unternehmen
basis-none = kein Angemessenheitsbeschluss
basis-unknown = Grundlage nicht bekannt
unverified-seat = Sitz nicht nachgeschlagen
unverified-dpf = Zertifizierung (Data Privacy Framework) nicht nachgeschlagen
unverified-decision = Nummer und Tag des Beschlusses nicht nachgeschlagen
jurisdiction-unverified = { $country }, { $why }: { $basis } (Stand { $date }); ungeprüft: { $what }
law-source = beruht auf
place-many = an vielen Orten zugleich
place-region = Region { $region } von { $provider } ({ $source })
place-anycast = Anycast, also an vielen Orten zugleich: { $who }
embedded-ipv4-mapped = dieselbe Gegenstelle wie { $address } (IPv4-mapped); danach beurteilt
embedded-nat64 = { $address } hinter einem Übersetzer (NAT64); danach beurteilt
embedded-6to4 = erreicht über den Router { $address } (6to4); danach beurteilt
name-dns = DNS-Antwort
name-sni = TLS-Hello
name-certificate = Zertifikat
name-http-host = HTTP
name-xmpp-to = XMPP
name-dns-hint = Adresshinweis eines HTTPS- oder SVCB-Eintrags
name-dns-ptr = PTR-Eintrag im Mitschnitt
name-reverse = Reverse-Zone nach den Referenzdaten, nicht im Verkehr gesehen
name-expired = Antwort war abgelaufen
name-groups = { $n ->
    [one] registrierte Domain: { $domains }
   *[other] registrierte Domains: { $domains }
}
jurisdiction = { $country }, { $why }: { $basis } (Stand { $date })
rtt-bound = höchstens { $km } km entfernt (Umlaufzeit { $ms } ms)
rtt-seen = Umlaufzeit { $ms } ms
rtt-too-far = zu weit weg: { $country }, mindestens { $km } km von { $place }
rtt-possible = { $n ->
    [one] nah genug: { $n } Land; es antwortet der Rand des Netzes, nicht der Ursprung
   *[other] nah genug: { $n } Länder; es antwortet der Rand des Netzes, nicht der Ursprung
}
rtt-no-bound = sagt nichts über den Ort: { $why }
rtt-note-vantage-unknown = nicht bekannt, wo auf dem Weg aufgezeichnet wurde
rtt-note-vantage-vpn = das VPN auf dem Gerät antwortet selbst
rtt-note-vantage-server = auf der Seite des Servers aufgezeichnet
rtt-note-answered-locally = etwas auf dem Weg antwortet selbst
rtt-note-place-unknown = Land oder Ort der Aufzeichnung nicht bekannt
rtt-note-no-outline = zum Land der Aufzeichnung ist kein Umriss bekannt

## Rechtsräume, und wie exponiert die Gegenstellen sind
zone-ch = Schweiz
zone-eea = EWR
zone-adequate = Angemessenheitsbeschluss
zone-us = USA
zone-other = anderes Land
zone-unknown = Land unbekannt oder strittig
exposure-all = alle Flows
exposure-note = Bytes von und zu öffentlichen Adressen. „Wie 2,0 gleiche Teile“ sagt, wie weit sie verteilt sind. An den genannten Stellen
    sieht ein Beobachter auf dem Weg den wahren Namen eines Servers; ein Flow kann ihn an mehreren zeigen. Dritte sind alle Maschinen, die
    nicht dem Messenger selbst gehören, auch Hosting und Auslieferungsnetze.
exposure-no-marks = Gegenstellen vor der ersten Handlung des Nutzers sind nicht gezählt: Kein Lauf dieser Mitschnitte vermerkt, wann ein Schritt begann.
exposure-no-action = Gegenstellen vor der ersten Handlung des Nutzers sind nicht gezählt: Die Läufe vermerken keinen Schritt außer Warten.
exposure-spread = wie { $parts } gleiche Teile (Entropie { $bits } Bit, HHI { $hhi })
exposure-dns = { $share } DNS
exposure-sni = { $share } TLS-Hello
exposure-quic = { $share } QUIC-Hello
exposure-certificate = { $share } Zertifikat
exposure-clear = { $share } Klartextprotokoll
exposure-ip-only = { $share } nur Adresse
exposure-ech = { $share } verborgen (ECH)

## Rollen der Gegenstellen
role-first-party = vom Messenger selbst
role-hosting = gemieteter Server
role-cdn = Auslieferungsnetz (CDN)
role-push = Push-Dienst
role-tracker = Tracker
role-resolver = DNS-Resolver
role-relay = Medien-Relay
role-peer = Gesprächspartner
role-time = Zeitdienst
role-platform = Betriebssystem
role-unknown = unbekannt

## Funde
kind-credential = Zugangsdaten
kind-canary = ausgelegtes Geheimnis
kind-identifier = Kennung
kind-content = Inhalt
kind-cookie = Cookie
kind-token = Zugriffstoken
kind-name = Name
severity-info = Hinweis
severity-low = gering
severity-medium = mittel
severity-high = hoch
severity-critical = kritisch
direction-up = zum Server
direction-down = vom Server
vantage-router = auf dem Weg, außerhalb des Geräts
vantage-vpn = VPN auf dem Gerät
vantage-device = auf dem Gerät selbst
vantage-server = beim Server
finding-decrypted = nur mit Schlüsseln der Prüfenden lesbar
finding-clear = lesbar für jeden auf dem Weg
finding-count = { $count ->
    [one] einmal
   *[other] { $count }-mal
}
confidence-low = unsicher: anderes sieht ebenso aus
confidence-medium = der Form nach wahrscheinlich
confidence-high = der Form oder dem Namen nach sicher
encoding-chain = kodiert als { $chain }

## Tabelle im Terminal
column-claim = Behauptung
column-criterion = Kriterium
column-verdict = Urteil
column-evidence = Beleg
column-messenger = Messenger
table-evidence = { $capture }: { $frames }
table-more = +{ $n }
table-none = Es wurde keine Behauptung beurteilt.

## Frames und Listen
frames = { $n ->
    [one] Frame { $frames }
   *[other] Frames { $frames }
}
frames-more = { $frames } und { $more } weitere
more-in-json = { $n } weitere in report.json
more-evidence = { $n } weitere Stellen in report.json

## Diagramme
chart-countries = Bytes nach Land der Gegenstelle
chart-countries-note = Einig heißt: Alle Quellen nennen dieses Land. Datenbanken ordnen Adressen zu; einen Standort beweisen sie nicht.
chart-operators = Bytes nach Netzbetreiber
chart-operators-note = Wer das Netz der Adresse ankündigt. Bei Cloud und Auslieferungsnetz ist das nicht der Messenger selbst.
chart-verdicts = Urteile nach Messenger
chart-verdicts-note = Anzahl der Behauptungen, keine Note: Über wen mehr behauptet wird, der hat mehr zu belegen.
chart-map = Wo die Gegenstellen stehen sollen
chart-map-note = Getönt danach, wie weit die Quellen einig sind; eine strittige Gegenstelle zählt für jedes genannte Land, aber nicht zu
    den einigen Bytes.
    Durchgestrichen: von einer Quelle genannt, aber zu weit weg für die Umlaufzeit. Datenbanken und Entfernungen beweisen keinen Ort.
map-struck-out = zu weit für die Umlaufzeit
map-vantage = Ort der Aufzeichnung
chart-flow = Vom Messenger über den Betreiber ins Land
chart-flow-note = So breit wie die Bytes; die Farbe ist der Rechtsraum des Landes. Der Betreiber kündigt das Netz an; den Server betreibt
    nicht immer er.
flow-no-messenger = kein Messenger
flow-no-country = unbekannt oder strittig
chart-zones = Bytes nach Rechtsraum
chart-zones-note = Nach dem Land, in dem die Quellen einig sind. Das Recht am Sitz des Betreibers kann daneben gelten; es steht bei jeder
    Gegenstelle.
chart-entropy = Wie dicht die Bytes der einzelnen Flows sind
chart-entropy-note = Ein Dreieck für jede Richtung mit mindestens 64 Byte Nutzlast, größer bei mehr Bytes; die Entropie ist die der ersten
    2 KiB. Als verschlüsselt zählt nur, was auf einen gelesenen Handshake folgt. Kompression und Medien sind ebenso dicht: Was weder an
    seinem Aufbau noch an einem Handshake zu erkennen ist, gilt als nicht lesbar, so zufällig es auch aussieht.
chart-class = Klasse
chart-directions = Richtungen
chart-median-entropy = Median, Bit je Byte
chart-range-entropy = von – bis
chart-bits = Bit je Byte
chart-up = vom Client
chart-down = vom Server
chart-left-out = { $n } kleinere sind nicht gezeichnet
content-cleartext = im Klartext
content-compressed = komprimiert
content-media = Medien
content-encrypted = verschlüsselt
content-opaque = nicht lesbar
chart-zone = Rechtsraum
chart-country = Land
chart-operator = Betreiber
chart-bytes = Bytes
chart-disputed = Strittige Bytes
chart-share = Anteil
chart-agreement = Quellen
chart-rest = { $n } weitere
operator-unknown = Betreiber unbekannt
operator-asn = { $name } (AS{ $asn })
claims-n = { $n ->
    [one] { $n } Behauptung
   *[other] { $n } Behauptungen
}
chart-as-table = Dasselbe als Tabelle

## Die Seite
page-title = Was die Messenger dem Netz mitgeteilt haben
page-lead = { $captures ->
    [one] { $captures } Mitschnitt
   *[other] { $captures } Mitschnitte
}, { $frames } Frames, { $bytes }; { $claims ->
    [one] { $claims } Behauptung
   *[other] { $claims } Behauptungen
} über { $messengers ->
    [one] { $messengers } Messenger
   *[other] { $messengers } Messenger
}.
page-span = Aufgezeichnet zwischen { $from } und { $to }.
page-span-none = Die Mitschnitte enthalten keine Zeiten.
page-made-by = Erstellt von { $tool } { $version }. Gleiche Mitschnitte, Behauptungen und Referenzdaten ergeben dieselbe Seite.
page-masked = Persönliche Daten in Funden sind maskiert.
page-english = Notizen zu Beweisen, ein Teil der Funde, Gründe der Rollen, Quellen und Warnungen stehen auf Englisch, wie das Programm und seine Datendateien sie führen.
skip-link = Zu den Urteilen springen
nav-label = Teile dieses Berichts
section-overview = Überblick
section-verdicts = Urteile nach Messenger
section-charts = Auf einen Blick
section-destinations = Gegenstellen
section-exposure = Exposition in Zahlen
section-findings = Funde
section-inputs = Mitschnitte
section-coverage = Abdeckung
section-warnings = Warnungen
section-reference = Referenzdaten
section-wireshark = Einen Frame in Wireshark prüfen
section-meaning = Was die Urteile bedeuten
overview-note = Behauptungen nach Urteil und Kriterium. Ein Strich heißt: keine solche Behauptung wurde beurteilt.
undecided = { $n ->
    [one] { $n } Behauptung, die diese Mitschnitte nicht entscheiden können
   *[other] { $n } Behauptungen, die diese Mitschnitte nicht entscheiden können
}
claim-evidence = Belege
claim-control = Positivkontrolle: { $found } von { $planted } gelegten Lecks gefunden; Trefferquote { $power }, 95-%-Intervall { $low } bis { $high }.
claim-control-destination = Positivkontrolle: { $found } von { $planted } gelegten Verbindungen in ein anderes Land zu einem anderen Betreiber standen mit beidem unter den Gegenstellen; Trefferquote { $power }, 95-%-Intervall { $low } bis { $high }.
claim-control-tracker = Positivkontrolle: { $found } von { $planted } gelegten Verbindungen zu Trackern standen als solche unter den Gegenstellen; Trefferquote { $power }, 95-%-Intervall { $low } bis { $high }.
claim-control-rule = Positivkontrolle der Regeln für lesbare Bytes: { $found } von { $planted } gelegten Beispielen gefunden; Trefferquote { $power }, 95-%-Intervall { $low } bis { $high }.
claim-control-call = Positivkontrolle: { $found } von { $planted } gelegten Anrufen direkt zur Gegenseite wurden als solche erkannt; Trefferquote { $power }, 95-%-Intervall { $low } bis { $high }.
claim-control-rest = Positivkontrolle: { $found } von { $planted } gelegten Datenschüben in der Ruhezeit wurden als Unruhe erkannt; Trefferquote { $power }, 95-%-Intervall { $low } bis { $high }.
claim-control-missed = Regeln, von denen nichts gefunden wurde: { $rules }.
claim-no-control = Es lief keine Positivkontrolle; die Trefferquote ist also unbekannt.
claim-sources = Quellen der Behauptung
filter-label = Wireshark-Filter
no-claims = Es wurde keine Behauptung beurteilt.
no-findings = Es wurde nichts Lesbares gefunden, das verborgen sein sollte. Das gilt für das, was lesbar war: siehe Abdeckung.
no-destinations = Es wurden keine Gegenstellen gesehen.
no-warnings = Die Mitschnitte hatten keine Fehler.
warning-data-age = Adressen von { $capture } wurden mit Daten von { $data } beurteilt (neueste benutzte Quelle vom { $newest }, älteste { $source } vom { $oldest }): { $what }
warning-networks-changed = Netze können seither den Inhaber gewechselt haben
warning-data-older = mehr als 12 Monate älter als der Mitschnitt: { $sources }
no-inputs = Kein Mitschnitt war lesbar.
no-reference = Es waren keine Referenzdaten beteiligt.
destinations-note = Größte zuerst. Jede Quelle eines Orts ist genannt; wo sie sich widersprechen, wird kein Land behauptet.
findings-note = Schwerste zuerst.
coverage-note = Jedes Byte eines Mitschnitts gehört zu genau einer Klasse. Auch was nicht lesbar war, ist mitgezählt.
column-file = Datei
column-sha256 = SHA-256
column-frames = Frames
column-size = Größe
column-recorded = Aufgezeichnet
column-run = Entstehung
column-address = Adresse und Namen
column-destinations = Gegenstellen
column-countries = Länder
column-operators = Betreiber
column-third = Dritte
column-names = Namen sichtbar
column-before = Vor der ersten Handlung
column-operator = Betreiber
column-place-by-source = Orte nach Quelle
column-place = Ort
column-jurisdiction = Recht
column-role = Rolle
column-bytes = Bytes
column-severity = Schwere
column-kind = Art
column-what = Was
column-where = Wo
column-capture = Mitschnitt
column-classes = Klassen
column-offset = Byte
column-frame = Frame
column-source = Quelle
column-as-of = Stand
column-licence = Lizenz
column-attribution = Namensnennung
bytes-up-down = { $up } hin, { $down } zurück
year-note = Stand { $year }; Apps und Server können sich seither geändert haben.
year-none = Die Uhr des Mitschnitts war nicht gestellt.
truncated = endet vorzeitig: abgeschnitten oder fehlerhaft
run-unknown = nicht bekannt
run-app = App: { $app }
run-device = Gerät: { $device }
run-vantage = Messpunkt: { $vantage }
run-place = Ort: { $place }
run-recorder = Aufgezeichnet mit: { $recorder }
run-steps = Schritte: { $steps }
run-messenger = Messenger: { $messenger }
seen = { $flows ->
    [one] { $flows } Verbindung
   *[other] { $flows } Verbindungen
}, zuerst in Frame { $frame } von { $capture }
role-because = weil:
used-by = benutzt von { $messengers }
flow-n = Verbindung { $flow }
all-captures = Alle Mitschnitte zusammen
each-capture = Jeder Mitschnitt für sich
wireshark-1 = Den Mitschnitt öffnen, der beim Beleg genannt ist. Ob es dieselbe Datei ist, sagt ihr SHA-256 in der Tabelle der Mitschnitte.
wireshark-2 = Den Wireshark-Filter in die Filterzeile über der Paketliste kopieren und Enter drücken.
wireshark-3 = Die Frame-Nummern sind die in Wiresharks erster Spalte „No.“; Strg+G springt zu einer.
wireshark-4 = Eine Nachricht, die sich über mehrere Frames verteilt, zeigt Wireshark beim letzten davon.
wireshark-5 = Entschlüsselte Nachrichten brauchen das Schlüsselprotokoll (Key Log): Einstellungen, Protokolle, TLS, „(Pre)-Master-Secret log filename“.
footer = metaleak berichtet, was in diesen Mitschnitten zu sehen war, nicht alles, was eine App tun kann.

## Namen der Messenger, nach der Kennung ihrer Behauptungen
messenger-whatsapp = WhatsApp
messenger-messenger = Facebook Messenger
messenger-telegram = Telegram
messenger-signal = Signal
messenger-wire = Wire
messenger-threema = Threema
messenger-conversations = Conversations (XMPP)
messenger-caritas = Caritas-Beratungsplattform

## Klassen der Abdeckung; eine Klasse ohne Eintrag erscheint mit ihrer Kennung
ledger-dns = DNS
ledger-dtls-application = DTLS, verschlüsselt
ledger-dtls-decrypted = DTLS, entschlüsselt
ledger-dtls-handshake = DTLS-Handshake
ledger-dtls-null = DTLS ohne Verschlüsselung, im Klartext gelesen
ledger-dtls-undecrypted = DTLS, mit den vorliegenden Schlüsseln nicht geöffnet
ledger-dtls-unverified = DTLS-Records ohne gesehenen Handshake
ledger-file = Dateistruktur
ledger-fragment = Teile fragmentierter Pakete
ledger-ftp = FTP
ledger-http-body = HTTP-Bodys
ledger-http-body-undecoded = nicht entpackte HTTP-Bodys
ledger-http-header = HTTP-Header
ledger-http-unparsed = HTTP, nicht verstanden
ledger-http2-body = HTTP/2-Bodys
ledger-http2-body-undecoded = nicht entpackte HTTP/2-Bodys
ledger-http2-control = HTTP/2-Steuerframes
ledger-http2-header = HTTP/2-Header
ledger-http2-unparsed = HTTP/2, nicht verstanden
ledger-imap = IMAP
ledger-ipsec = IPsec
ledger-ipsec-ike = IKE (Schlüsselaustausch von IPsec)
ledger-irc = IRC
ledger-ldap = LDAP
ledger-link = Sicherungsschicht
ledger-link-other = Frames ohne IP
ledger-lost = verloren oder fehlend
ledger-malformed = fehlerhafte Header
ledger-mqtt = MQTT
ledger-mtproto-handshake = MTProto-Handshake
ledger-mtproto-messages = MTProto, verschlüsselt
ledger-mysql = MySQL
ledger-network = Vermittlungsschicht
ledger-opaque = nicht lesbar
ledger-openvpn = OpenVPN
ledger-openvpn-control = OpenVPN-Steuerkanal
ledger-overlong = jenseits der Lesegrenze
ledger-padding = Füllbytes
ledger-pop3 = POP3
ledger-postgres = PostgreSQL
ledger-quic-application = QUIC, verschlüsselt
ledger-quic-decrypted = QUIC, entschlüsselt
ledger-quic-handshake = QUIC-Handshake
ledger-quic-handshake-encrypted = QUIC-Handshake, verschlüsselt
ledger-quic-undecrypted = QUIC, mit den vorliegenden Schlüsseln nicht geöffnet
ledger-quic-unverified = QUIC-Pakete ohne gesehenen Handshake
ledger-rtcp = RTCP
ledger-rtp = RTP-Medien
ledger-sip = SIP
ledger-smtp = SMTP-Befehle
ledger-smtp-data = E-Mails über SMTP
ledger-socks = SOCKS
ledger-srtp = SRTP-Medien, verschlüsselt
ledger-stun = STUN
ledger-tcp-reset = Bytes in TCP-Resets
ledger-tcp-retransmission = TCP-Wiederholungen
ledger-tcp-stray = TCP-Segmente weit außerhalb des Fensters
ledger-text = lesbarer Text
ledger-threema-frames = Threema, verschlüsselt
ledger-threema-handshake = Threema-Handshake
ledger-tls-application = TLS, verschlüsselt
ledger-tls-decrypted = TLS, entschlüsselt
ledger-tls-handshake = TLS-Handshake
ledger-tls-null = TLS ohne Verschlüsselung, im Klartext gelesen
ledger-tls-undecrypted = TLS, mit den vorliegenden Schlüsseln nicht geöffnet
ledger-tls-unverified = TLS-Records ohne gesehenen Handshake
ledger-transport = Transportschicht
ledger-tunnel = Tunnel-Header
ledger-turn-relayed = über TURN weitergeleitet
ledger-unread = Rest der Datei, nicht gelesen
ledger-unsupported = nicht gelesene Schichten
ledger-websocket = WebSocket
ledger-websocket-unparsed = WebSocket, nicht verstanden
ledger-whatsapp-frames = WhatsApp, verschlüsselt
ledger-whatsapp-frames-unverified = WhatsApp-Frames ohne gesehenen Handshake
ledger-whatsapp-handshake = WhatsApp-Handshake
ledger-whatsapp-login = WhatsApp-Anmeldung im Klartext
ledger-wireguard = WireGuard
ledger-wireguard-handshake = WireGuard-Handshake
ledger-xmpp = XMPP
ledger-xmpp-compressed = XMPP, komprimiert
ledger-zrtp = ZRTP-Handshake

## Länder, nach ISO-3166-Code; eines ohne Eintrag erscheint mit seinem Code
country-AE = Vereinigte Arabische Emirate
country-AR = Argentinien
country-AT = Österreich
country-AU = Australien
country-BE = Belgien
country-BG = Bulgarien
country-BR = Brasilien
country-CA = Kanada
country-CH = Schweiz
country-CL = Chile
country-CN = China
country-CY = Zypern
country-CZ = Tschechien
country-DE = Deutschland
country-DK = Dänemark
country-EE = Estland
country-ES = Spanien
country-EU = Europa, Land unbekannt
country-FI = Finnland
country-FR = Frankreich
country-GB = Vereinigtes Königreich
country-GR = Griechenland
country-HK = Hongkong
country-HR = Kroatien
country-HU = Ungarn
country-ID = Indonesien
country-IE = Irland
country-IL = Israel
country-IN = Indien
country-IR = Iran
country-IS = Island
country-IT = Italien
country-JP = Japan
country-KR = Südkorea
country-LI = Liechtenstein
country-LT = Litauen
country-LU = Luxemburg
country-LV = Lettland
country-MT = Malta
country-MX = Mexiko
country-MY = Malaysia
country-NL = Niederlande
country-NO = Norwegen
country-NZ = Neuseeland
country-PH = Philippinen
country-PL = Polen
country-PR = Puerto Rico
country-PT = Portugal
country-RO = Rumänien
country-RS = Serbien
country-RU = Russland
country-SA = Saudi-Arabien
country-SE = Schweden
country-SG = Singapur
country-SI = Slowenien
country-SK = Slowakei
country-TH = Thailand
country-TN = Tunesien
country-TR = Türkei
country-TW = Taiwan
country-UA = Ukraine
country-US = USA
country-VG = Britische Jungferninseln
country-VN = Vietnam
country-ZA = Südafrika

## The program
study-page = Bericht

## Was `claims show` schreibt
show-contradicts = Widerlegt
show-control = Gegenprobe
show-criterion = Kriterium
show-decided-by = Entscheidbar
show-id = Behauptung
show-note = Hinweis
show-section = Vergleich
show-shows = Nur gezeigt
show-source = Quelle
show-steps = Schritte nötig
show-superseded = Überholt
show-supports = Stützt
show-text = Besagt
show-undecided = Zum Entscheiden
show-vantage = Messpunkt

## Anrufe

section-calls = Anrufe
calls-note = Wie viel von Ton und Bild direkt zur anderen Seite ging und nicht über ein Relay, und welche ihrer Adressen ein Beobachter lesen konnte.
    Ein Relay verbirgt die Adresse jeder Seite vor der anderen. Angenommen heißt: der erste Erfolg auf ein INVITE in SIP; wo keines
    aufgezeichnet ist, das erste Medienpaket. Ein Server ist eine Konferenzbrücke oder ein Gateway: Er verbirgt die Adressen wie ein Relay,
    und wer ihn betreibt, ist am Anruf beteiligt.
column-call = Anruf
column-flows = Verbindungen
column-media = Medien
column-direct = Direkt zur Gegenseite
column-servers = Zu Servern
column-peer-addresses = Adressen der Gegenseite im Klartext
column-before-answer = Davon vor der Annahme
column-answer = Angenommen
call-address = { $address } ({ $kind }, Frame { $frame })
call-address-shown = eigene Adresse ihr gezeigt ab Frame { $frame }
call-answer-sip = Frame { $frame }, laut SIP
call-answer-media = Frame { $frame }, mit dem ersten Medienpaket
call-answer-none = nicht im Mitschnitt
call-line = { $label }: { $media } Medien, { $share } direkt zur Gegenseite{ $servers }; { $exposed } { $exposed ->
        [one] Adresse
       *[other] Adressen
    } der Gegenseite im Klartext, { $before } vor der Annahme{ $reached }
call-line-reached = ; die eigene Adresse { $n } von ihnen schon davor gezeigt
call-line-servers = , { $share } zu { $n ->
        [one] einem Server
       *[other] { $n } Servern
    }

section-conclusions = Schlussfolgerungen des Vergleichs
conclusions-note = Wertungen haben kein eigenes Urteil. Daneben steht, was aus den Behauptungen wurde, auf denen sie ruhen: hier gemessen, widerlegt, noch offen, nicht mehr passend oder nur durch Dokumente belegt.
column-conclusion = Wertung
column-premises = Ihre Voraussetzungen
premises-measured = { $n } gemessen
premises-not-refuted = { $n } nicht widerlegt
premises-refuted = { $n } widerlegt
premises-open = { $n } offen
premises-documentary = { $n } nach Dokumenten
premises-superseded = { $n } nicht mehr passend
premise-negated = Nicht:
conclusion-line = { $messenger }: { $text } – { $states }
section-own-criteria = Eigene Kriterien
own-criteria-note = Ein Kriterium ist erfüllt, wenn alle seine Behauptungen gemessen oder nicht widerlegt sind, verfehlt, wenn eine widerlegt ist, und sonst offen. Die Gewichte stehen in der Kriteriendatei.
criterion-weight = Gewicht { $weight }
outcome-met = erfüllt
outcome-failed = verfehlt
outcome-open = offen
column-total = Gewicht
criteria-total = erfüllt { $met }, verfehlt { $failed }, offen { $open }
outcome-counted = nicht gefragt

# metaleak scenario
scenario-id = Szenario
scenario-title = Titel
scenario-messenger = Messenger
scenario-app = App
scenario-version = Version
scenario-device = Gerät
scenario-state = Zustand
scenario-needs = Voraussetzung
scenario-canary = Geheimnis
scenario-doses = Dosen
scenario-sha256 = SHA-256
scenario-dose-here = <Dosis>
scenario-times = { $text } ({ $times }-mal)
scenario-expected = erwartet innerhalb von { $seconds } s: { $text }
scenario-random = { $n ->
    [one] ein Durchgang
   *[other] { $n } Durchgänge in zufälliger Folge, Startwert { $seed }
  }
scenario-as-written = { $n ->
    [one] ein Durchgang
   *[other] { $n } Durchgänge in der Folge der Datei, Startwert { $seed } unbenutzt
  }
scenario-trial = Wiederholung { $repeat }
scenario-trial-dose = Dosis { $dose }, Wiederholung { $repeat }
scenario-trial-control = { $control }, Wiederholung { $repeat }
scenario-control-idle-device = Kontrolle: das Gerät in Ruhe gelassen
scenario-control-without-app = Kontrolle: das Gerät ohne die App
scenario-canary-text = Text
scenario-canary-number = Rufnummer
scenario-canary-email = E-Mail-Adresse
scenario-canary-person-name = Name
scenario-canary-exif = Ort in EXIF-Daten
scenario-device-android = Android
scenario-device-ios = iOS
scenario-device-desktop = Arbeitsplatzrechner
scenario-device-browser = Browser
scenario-device-terminal = Terminal

## Mehrere Läufe, und was als Nächstes zu tun ist
runs-disagree = Läufe uneins
runs-line = { $verdict }: { $app }, { $day }, Messort { $vantage } ({ $n ->
    [one] 1 Lauf
   *[other] { $n } Läufe
})
runs-unknown-app = Programm unbekannt
runs-unknown-day = Tag unbekannt
section-disagreements = Läufe, die nicht übereinstimmen
disagreement-line = { $claim }: { $kinds }
section-next = Was mehr entscheiden würde
next-line = { $what } Offen: { $claims }
claim-next = Was es entscheiden würde
claim-runs = Was Läufe für sich allein zeigen
claim-protects = Schützt ein Hash?
does-not-protect = schützt nicht
show-min-runs = nötige Läufe
vantage-unknown = unbekannt
run-ended-complete = vollständig
run-ended-failed = ein Schritt misslang
run-ended-interrupted = unterbrochen
run-ended-ended-by-hand = von Hand beendet
run-ended-device-lost = Gerät verloren
run-ended-capture-ended = Mitschnitt brach ab
run-step-counts = { $done } Schritte erledigt, { $failed } nicht

# Läufe neben Kontrollläufen desselben Geräts.
section-noise = Grundrauschen des Geräts
noise-note = Was dasselbe Gerät auch ohne die App sendet oder eine andere App darauf, ist Grundrauschen; Behauptungen über die App werden nach dem Rest beurteilt.
    Eine Gegenstelle ist dieselbe nach Name, Transport und Port, ohne Namen nach ihrer Adresse. Was eine Signatur, ein Name oder ein Netz
    dem Messenger zuordnet, wird weiter beurteilt. Nichts fällt weg: Was auch Grundrauschen ist, ist gekennzeichnet. Eine ruhende App
    sendet weiter; was es auch im Ruhezustand gibt, ist deshalb nur gekennzeichnet.
column-noise-run = Lauf
column-whole = Ganzes
column-noise = Gerät oder andere Apps
column-remains = Rest
column-when-idle = Auch im Ruhezustand
column-also-seen = Gegenstellen nicht nur dieses Laufs
noise-recorder = unterschieden vom Aufzeichner auf dem Gerät
noise-control = { $capture } ({ $kind }, { $seconds } s)
noise-control-without-app = ohne die App
noise-control-idle = App in Ruhe
noise-kept = weiter beurteilt: nicht nur der Lauf ordnet es dem Messenger zu
noise-sum = { $flows } { $flows ->
        [one] Verbindung
       *[other] Verbindungen
    } zu { $ends } { $ends ->
        [one] Gegenstelle
       *[other] Gegenstellen
    }, { $bytes }
noise-line = { $capture }: ganz { $whole }; auch ohne die App oder von anderen { $noise }; Rest { $remains }; auch im Ruhezustand { $idle }; verglichen mit { $controls } { $controls ->
        [one] Kontrolllauf
       *[other] Kontrollläufen
    }
also-without-app = auch ohne die App
also-when-idle = auch im Ruhezustand
also-other-app = von einer anderen App

## Formulierungen, die nicht mehr passen
superseded = passt nicht mehr zur Formulierung des Vergleichs
superseded-since = passt nicht mehr zur Formulierung des Vergleichs, seit { $since }
superseded-by = Was heute gilt:
section-superseded = ↻ Formulierungen des Vergleichs, die nicht mehr passen
superseded-line = { $claim }: { $what }
superseded-line-by = { $claim }: { $what }; heute: { $by }
valid-from = Gilt seit { $when }.
valid-until = Galt bis { $when }.
overview-link = { $messenger }, { $criterion }: { $count }

## Prädikate vorgelesen: Quantoren, Gegenstände, Bedingungen
say-any = { $subject ->
    [flows] mindestens eine Verbindung
    [destinations] mindestens eine Gegenstelle
    [findings] mindestens einen Fund
    [names] mindestens einen Namen
    [doses] mindestens eine Messung über Adressbücher
    [calls] mindestens einen Anruf
   *[steps] mindestens einen Schritt eines Laufs
}
say-all = { $subject ->
    [flows] jede Verbindung, und es gibt eine
    [destinations] jede Gegenstelle, und es gibt eine
    [findings] jeden Fund, und es gibt einen
    [names] jeden Namen, und es gibt einen
    [doses] jede Messung über Adressbücher, und es gibt eine
    [calls] jeden Anruf, und es gibt einen
   *[steps] jeden Schritt eines Laufs, und es gibt einen
}
say-none = { $subject ->
    [flows] keine Verbindung
    [destinations] keine Gegenstelle
    [findings] keinen Fund
    [names] keinen Namen
    [doses] keine Messung über Adressbücher
    [calls] keinen Anruf
   *[steps] keinen Schritt eines Laufs
}
say-count = { $subject ->
    [flows] { $n } oder mehr Verbindungen
    [destinations] { $n } oder mehr Gegenstellen
    [findings] { $n } oder mehr Funde
    [names] { $n } oder mehr Namen
    [doses] { $n } oder mehr Messungen über Adressbücher
    [calls] { $n } oder mehr Anrufe
   *[steps] { $n } oder mehr Schritte von Läufen
}
say-share = { $subject ->
    [flows] in jeder Aufzeichnung mindestens { $share } der Verbindungen
    [destinations] in jeder Aufzeichnung mindestens { $share } der Gegenstellen
    [findings] in jeder Aufzeichnung mindestens { $share } der Funde
    [names] in jeder Aufzeichnung mindestens { $share } der Namen
    [doses] in jeder Aufzeichnung mindestens { $share } der Messungen über Adressbücher
    [calls] in jeder Aufzeichnung mindestens { $share } der Anrufe
   *[steps] in jeder Aufzeichnung mindestens { $share } der Schritte von Läufen
}
say-holds = für { $who } gilt: { $what }
say-among = { $what } (betrachtet werden nur die, für die gilt: { $of })
say-present = kommt vor
say-not = es ist nicht so, dass gilt: { $what }
say-within-run = in ein und demselben Lauf: { $what }
say-and = und
say-or-else = oder
say-or = oder
say-flows-encryption = verschlüsselt mit { $value }
say-flows-not-encryption = nicht verschlüsselt mit { $value }
say-flows-app-protocol = spricht { $value }
say-flows-transport = läuft über { $value }
say-flows-port = Port des Servers { $value }
say-flows-signature = ihre Bytes haben die Form { $value }
say-flows-tls-version = handelt { $value } aus
say-flows-ech = verschlüsselter Name im Hello (ECH): { $value }
say-flows-name = Name des Servers ist { $value } oder liegt darunter
say-flows-clear-bytes-over = mehr als { $value } Byte im Klartext, bevor die Verschlüsselung begann
say-flows-clear-messages-over = mehr als { $value } HTTP-Nachrichten mit Inhalt im Klartext (Weiterleitungen, Ablehnungen und Webseiten zählen nicht)
say-flows-read-yes = alle Nutzdaten wurden gelesen
say-flows-read-no = ein Teil der Nutzdaten wurde nicht gelesen
say-flows-with-payload-yes = trug Nutzdaten
say-flows-with-payload-no = trug keine Nutzdaten
say-flows-messenger-why = gehört zum Messenger wegen { $value }
say-flows-remains-yes = nachweislich weder vom Gerät noch von einer anderen App
say-flows-remains-no = nicht durch einen Kontrolllauf als die der App gezeigt
say-flows-cipher = Cipher-Suite { $value }
say-flows-certificate-subject = Inhaber im Zertifikat des Servers enthält { $value }
say-flows-certificate-issuer = Aussteller im Zertifikat des Servers enthält { $value }
say-flows-certificate-fault = Mangel des Zertifikats: { $value }
say-flows-to = für ihre Gegenstelle gilt: { $value }
say-destinations-country = Quellen verorten sie in: { $value }
say-destinations-not-country = Quellen verorten sie anderswo als in: { $value }
say-destinations-agreement = Einigkeit der Quellen mindestens: { $value }
say-destinations-asn = Netz angekündigt als AS { $value }
say-destinations-operator = Name des Betreibers enthält { $value }
say-destinations-role = Rolle: { $value }
say-destinations-not-role = Rolle eine andere als { $value }
say-destinations-jurisdiction = unter dem Recht von { $value }, nach Ort oder Sitz
say-destinations-basis = Grundlage für Übermittlungen, bei einem geltenden Recht: { $value }
say-destinations-not-basis = Grundlage für Übermittlungen, bei einem geltenden Recht, eine andere als { $value }
say-destinations-seat = Sitz des Netzbetreibers: { $value }
say-destinations-not-seat = Sitz des Netzbetreibers anderswo als { $value }
say-destinations-seat-basis = Grundlage für Übermittlungen nach dem Sitz des Betreibers: { $value }
say-destinations-service-seat = Sitz des Dienstanbieters: { $value }
say-destinations-not-service-seat = Sitz des Dienstanbieters anderswo als { $value }
say-destinations-service-seat-basis = Grundlage für Übermittlungen nach dem Sitz des Dienstanbieters: { $value }
say-destinations-place-law = Recht des Ortes: { $value }
say-destinations-not-place-law = Recht des Ortes ein anderes als { $value }
say-destinations-place-basis = Grundlage für Übermittlungen nach dem Ort: { $value }
say-destinations-max-km-below = nach der Laufzeit weniger als { $value } km entfernt
say-destinations-rtt-excludes = Quellen nennen { $value }, und die Laufzeit ist dafür zu kurz
say-destinations-rtt-leaves-out = die Laufzeit ist zu kurz für ein Ende in: { $value }
say-destinations-known-yes = eine Quelle kennt Betreiber oder Land
say-destinations-known-no = keine Quelle kennt Betreiber oder Land
say-destinations-flow = für eine ihrer Verbindungen gilt: { $value }
say-findings-kind = Art: { $value }
say-findings-severity = Gewicht mindestens { $value }
say-findings-encoding = kodiert als { $value }
say-findings-canary = ein ausgelegtes Geheimnis namens { $value } (auch mit Nummer dahinter)
say-findings-rule = gefunden durch die Regel { $value }
say-findings-confidence = Sicherheit mindestens { $value }
say-findings-decrypted-yes = nur mit Schlüsseln lesbar
say-findings-decrypted-no = im Klartext lesbar, ohne Schlüssel
say-findings-hashed-yes = als Hash
say-findings-hashed-no = nicht als Hash
say-findings-direction = unterwegs { $value }
say-findings-runs-over = derselbe Wert in mehr als { $value } Aufzeichnungen
say-findings-flow = für seine Verbindung gilt: { $value }
say-names-suffix = ist { $value } oder liegt darunter
say-names-source = gesehen in { $value }
say-names-own-yes = ist ein Name des eigenen Dienstes der App
say-names-own-no = ist kein Name des eigenen Dienstes der App
say-names-flow = für seine Verbindung gilt: { $value }
say-doses-step = im Schritt { $value }
say-doses-class = alles Hochgeladene: { $value }
say-doses-own-class = was sicher von der App hochgeladen wurde: { $value }
say-doses-form = die Größe je Kontakt passt zu { $value }
say-doses-bytes-per-contact-over = sicher mehr als { $value } Byte je Kontakt
say-doses-bytes-per-contact-below = sicher weniger als { $value } Byte je Kontakt
say-doses-power-at-least = eine Gegenprobe fand ausgelegtes Wachstum mit einer Stärke von { $value } oder mehr
say-calls-media-yes = mit Ton oder Bild
say-calls-media-no = ohne Ton und Bild
say-calls-direct-yes = Medien direkt an die Adresse der Gegenseite
say-calls-direct-no = keine Medien direkt an die Adresse der Gegenseite
say-calls-relayed-yes = alle Medien über Vermittler oder Server
say-calls-relayed-no = nicht alle Medien über Vermittler oder Server
say-calls-flow = für eine seiner Verbindungen gilt: { $value }
say-steps-step = der Schritt { $value }
say-steps-planted = mit einem ausgelegten Geheimnis namens { $value }
say-steps-seconds-over = dauerte mehr als { $value } Sekunden
say-steps-bytes-per-hour-over = mehr als { $value } Byte je Stunde
say-steps-bytes-per-hour-below = weniger als { $value } Byte je Stunde
say-steps-own-bytes-per-hour-over = mehr als { $value } Byte je Stunde in Verbindungen, die sicher von der App sind
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
say-value-encryption-noise = dem Noise-Protokoll
say-value-encryption-threema-csp = Threemas eigenem Protokoll
say-value-encryption-none = nichts (im Klartext gelesen)
say-value-encryption-opaque = etwas, das sich nicht lesen ließ
say-value-encryption-empty = nichts, ohne Nutzdaten
say-value-ech-absent = fehlt
say-value-ech-outer = benutzt
say-value-ech-unknown = vielleicht benutzt
say-value-messenger-why-signature = der Form ihrer Bytes
say-value-messenger-why-name = eines Namens des Anbieters
say-value-messenger-why-turn-realm = des Namens, mit dem ein Vermittler die Anmeldung verlangt
say-value-messenger-why-network = eines Netzes des Anbieters
say-value-messenger-why-shared = eines Namens an einer Adresse, die sich andere teilen
say-value-messenger-why-socket = des Sockets eines Anrufs
say-value-messenger-why-service = des gewählten Servers
say-value-messenger-why-run = allein der Beschreibung des Laufs
say-value-certificate-fault-expired = abgelaufen
say-value-certificate-fault-not-yet-valid = noch nicht gültig
say-value-certificate-fault-expired-intermediate = ein Zwischenzertifikat ist abgelaufen
say-value-certificate-fault-not-yet-valid-intermediate = ein Zwischenzertifikat ist noch nicht gültig
say-value-certificate-fault-self-issued = von sich selbst ausgestellt
say-value-certificate-fault-self-signed = von sich selbst signiert
say-value-certificate-fault-name-mismatch = für einen anderen Namen
say-value-certificate-fault-weak-key = schwacher Schlüssel
say-value-certificate-fault-weak-signature = schwache Signatur
say-value-certificate-fault-chain-order = Kette in falscher Reihenfolge
say-value-source-dns = einer DNS-Antwort
say-value-source-dns-hint = einem Adresshinweis im DNS
say-value-source-sni = dem TLS-Hello
say-value-source-certificate = dem Zertifikat
say-value-source-http-host = einer HTTP-Anfrage
say-value-source-xmpp-to = dem Kopf eines XMPP-Streams
say-value-source-turn-realm = der Anmeldung, die ein Vermittler verlangt
say-value-source-dns-ptr = der Rückwärtszone des DNS
say-value-source-ech-outer = der Hülle eines verschlüsselten Hellos
say-value-source-decrypted = entschlüsseltem Verkehr
say-value-class-too-few-runs = zu wenige Läufe für eine Auskunft
say-value-class-nothing = wächst nicht mit dem Adressbuch
say-value-class-padded = wächst in Stufen
say-value-class-per-contact = wächst mit jedem Kontakt
say-value-class-unclear = unklar
say-value-confidence-low = gering
say-value-confidence-medium = mittel
say-value-confidence-high = hoch
say-value-basis-adequacy = ein Angemessenheitsbeschluss
say-value-basis-dpf = das Data Privacy Framework
say-value-basis-none = keine
say-value-basis-unverified = nicht nachgeschlagen
say-value-basis-eea = das Recht des EWR selbst
show-by-traffic = durch Mitschnitte
show-by-documents = nur durch Dokumente
show-absence = Abwesenheit
show-absence-says = Sie besagt, dass etwas nicht geschieht: Im besten Fall spricht nichts dagegen (nicht widerlegt).
show-hash = Hash
show-hash-says = Sie besagt, dass Nummern nur als Hash hinausgehen: Ein zweites Urteil sagt, ob ein Hash sie schützt.
show-case = Offen, wenn
show-superseded-by = Heute gilt
show-supersedes = Anstelle von
show-valid-from = Gilt seit
show-valid-until = Galt bis
