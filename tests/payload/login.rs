//! Log-ins: what they say, how bad they are, and what hostile ones do.

use metaleak::model::{FindingKind, Severity};
use metaleak::payload::credential::{http_authorization, sasl};
use metaleak::payload::imap::imap_login;
use metaleak::payload::{Credential, ImapLogin, Masking, SaslLogin, UserPass, base64};
use proptest::prelude::*;

use crate::{base64_of, quick};

fn parts(credential: Option<Credential>) -> Option<Parts> {
    credential.map(|c| (c.scheme, c.user, c.secret))
}

type Parts = (&'static str, Option<String>, Option<String>);

/// `-` stands for what is not there.
#[allow(clippy::unnecessary_wraps, reason = "so that the case tables can say None beside it")]
fn some(scheme: &'static str, user: &str, secret: &str) -> Option<Parts> {
    let text = |t: &str| (t != "-").then(|| t.to_owned());
    Some((scheme, text(user), text(secret)))
}

#[test]
fn http_log_ins() {
    for (header, seen) in [
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", some("http-basic", "Aladdin", "open sesame")), // RFC 7617
        ("basic  YTpiOmM=", some("http-basic", "a", "b:c")),
        ("Basic !!!", None),
        ("Basic YWJj", None), // no colon
        ("Bearer mF_9.B5f-4.1JqM", some("http-bearer", "-", "mF_9.B5f-4.1JqM")), // RFC 6750
        (
            "Digest realm=\"a, b\", username=\"Mu\\\"fasa\", response=\"00\"",
            some("http-digest", "Mu\"fasa", "-"),
        ),
        ("Digest response=x", some("http-digest", "-", "-")),
        ("Negotiate YII=", some("http-negotiate", "-", "-")),
        ("Token 0123abcd", some("http-token", "-", "0123abcd")),
        ("0123abcd", some("http-token", "-", "0123abcd")),
        ("", None),
    ] {
        assert_eq!(parts(http_authorization(header.as_bytes())), seen, "{header}");
    }
}

#[test]
fn sasl_log_ins() {
    let text = |bytes: &[u8]| base64_of(bytes, false);
    for (mechanism, message, seen) in [
        ("PLAIN", &b"\0anna\0geheim"[..], some("sasl-plain", "anna", "geheim")),
        ("plain", b"boss\0anna\0geheim", some("sasl-plain", "anna", "geheim")),
        ("PLAIN", b"anna\0geheim", None),
        ("PLAIN", b"\0\0geheim", None),
        ("PLAIN", b"\0a\0b\0c", None),
        ("CRAM-MD5", b"tim b913a602c7eda7a495b4e6e7334d3890", some("sasl-cram-md5", "tim", "-")), // RFC 2195
        ("CRAM-MD5", b"tim short", None),
        (
            "DIGEST-MD5",
            b"charset=utf-8,username=\"chris\",realm=\"x\"",
            some("sasl-digest-md5", "chris", "-"),
        ),
        ("SCRAM-SHA-1", b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", some("sasl-scram", "user", "-")), // RFC 5802
        ("SCRAM-SHA-256-PLUS", b"p=tls-exporter,,n=a=2Cb,r=x", some("sasl-scram", "a,b", "-")),
        (
            "OAUTHBEARER",
            b"n,a=user@example.com,\x01host=x\x01auth=Bearer vF9dft4\x01\x01",
            some("sasl-bearer", "user@example.com", "vF9dft4"),
        ),
        (
            "XOAUTH2",
            b"user=me@example.com\x01auth=Bearer ya29\x01\x01",
            some("sasl-bearer", "me@example.com", "ya29"),
        ),
        ("EXTERNAL", b"anna", None),
    ] {
        assert_eq!(
            parts(sasl(mechanism.as_bytes(), text(message).as_bytes())),
            seen,
            "{mechanism} {message:?}"
        );
    }
    assert_eq!(parts(sasl(b"PLAIN", b"AGFu\n bmEA Z2VoZWlt\r\n")), some("sasl-plain", "anna", "geheim"));
    assert_eq!(sasl(b"PLAIN", b"="), None);
    let mut login = SaslLogin::default();
    assert_eq!(login.answer(b"YW5uYQ=="), None);
    assert_eq!(login.answer(b"*"), None);
    assert_eq!(login.answer(b"YW5uYQ==\r\n"), None);
    assert_eq!(parts(login.answer(b"Z2VoZWlt\r\n")), some("sasl-login", "anna", "geheim"));
}

#[test]
fn imap_log_ins() {
    for (arguments, seen, length) in [
        ("anna geheim\r\n", some("imap-login", "anna", "geheim"), 11),
        ("\"an na\" \"ge\\\"h\\\\eim\"\r\n", some("imap-login", "an na", "ge\"h\\eim"), 20),
        ("{4}\r\nanna {6}\r\ngeheim\r\n", some("imap-login", "anna", "geheim"), 21),
        ("{4+}\r\nanna \"\"\r\n", some("imap-login", "anna", ""), 13),
    ] {
        match imap_login(arguments.as_bytes()) {
            ImapLogin::Done { credential, used } => {
                assert_eq!((parts(Some(credential)), used), (seen, length), "{arguments}");
            }
            other => panic!("{arguments}: {other:?}"),
        }
        for cut in 0..length {
            assert_eq!(imap_login(&arguments.as_bytes()[..cut]), ImapLogin::More, "{arguments} cut at {cut}");
        }
    }
    for bad in [
        "\r\n",
        " anna",
        "anna\r\n",
        "(a) b",
        "{x}\r\n",
        "{99999999999999999999}\r\n",
        "{70000}\r\n",
        "{4} anna b",
        "\"a\r\n\" b",
    ] {
        assert_eq!(imap_login(bad.as_bytes()), ImapLogin::Invalid, "{bad}");
    }
}

#[test]
fn log_ins_of_two_commands() {
    let mut ftp = UserPass::default();
    assert_eq!(ftp.ftp(b"USER anna\r\n"), None);
    assert_eq!(parts(ftp.ftp(b"pass ge heim \r\n")), some("ftp-user-pass", "anna", "ge heim "));
    assert_eq!(parts(ftp.ftp(b"PASS again\r\n")), some("ftp-user-pass", "-", "again"));
    let mut pop3 = UserPass::default();
    assert_eq!(pop3.pop3(b"USER anna"), None);
    assert_eq!(parts(pop3.pop3(b"PASS geheim\n")), some("pop3-user-pass", "anna", "geheim"));
    assert_eq!(
        parts(pop3.pop3(b"APOP mrose c4c9334bac560ecc979e58001b3e22fb")),
        some("pop3-apop", "mrose", "-")
    ); // RFC 1939
    assert_eq!(pop3.pop3(b"APOP mrose notadigest"), None);
    assert_eq!(pop3.pop3(b"RETR 1"), None);
}

#[test]
fn severity_follows_what_can_be_done_with_it() {
    let of = |scheme, user: &str, secret: Option<&str>| Credential {
        scheme,
        user: Some(user.to_owned()),
        secret: secret.map(str::to_owned),
    };
    for (credential, kind, severity) in [
        (of("http-basic", "anna", Some("geheim")), FindingKind::Credential, Severity::Critical),
        (of("http-bearer", "", Some("abc")), FindingKind::Token, Severity::Critical),
        (of("http-digest", "anna", None), FindingKind::Credential, Severity::High),
        (of("pop3-apop", "anna", None), FindingKind::Credential, Severity::High),
        (of("sasl-scram", "anna", None), FindingKind::Credential, Severity::Medium),
        (of("ftp-user-pass", "anonymous", Some("a@b.de")), FindingKind::Credential, Severity::Info),
        (of("ftp-user-pass", "anna", Some("geheim")), FindingKind::Credential, Severity::Critical),
    ] {
        assert_eq!((credential.kind(), credential.severity()), (kind, severity), "{credential:?}");
    }
    let basic = of("http-basic", "anna.meier", Some("open sesame"));
    let raw = basic.finding((10, 40), Masking::On, false);
    assert_eq!(
        raw.what,
        "HTTP Basic log-in of user a…r (8 to 15 characters) with password o…e (8 to 15 characters)"
    );
    assert_eq!((raw.encoding, raw.range), (vec!["base64".to_owned()], (10, 40)));
    assert_eq!(
        basic.finding((0, 1), Masking::Off, true).what,
        "HTTP Basic log-in of user anna.meier with password open sesame"
    );
    assert_eq!(basic.finding((0, 1), Masking::On, true).severity, Severity::Info);
    assert!(!format!("{basic:?}").contains("sesame"), "printed by mistake, it stays masked");
}

fn decode_everything(bytes: &[u8]) {
    let _ = http_authorization(bytes);
    for scheme in ["Basic ", "Digest ", "Bearer ", "Negotiate "] {
        let _ = http_authorization(&[scheme.as_bytes(), bytes].concat());
    }
    for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-256", "OAUTHBEARER"] {
        let _ = sasl(mechanism.as_bytes(), bytes);
        let _ = sasl(mechanism.as_bytes(), base64_of(bytes, false).as_bytes());
    }
    if let ImapLogin::Done { used, .. } = imap_login(bytes) {
        assert!(used <= bytes.len());
    }
    let (mut login, mut lines) = (SaslLogin::default(), UserPass::default());
    for part in bytes.split(|&b| b == b'\n') {
        let _ = (login.answer(part), lines.pop3(part), lines.ftp(part));
    }
}

proptest! {
    #![proptest_config(quick())]

    #[test]
    fn hostile_log_ins_do_no_harm(random in prop::collection::vec(any::<u8>(), 0..200), shaped in "[\"\\\\{}+=, \r\nAQuU/0-9a-c]{0,120}") {
        decode_everything(&random);
        decode_everything(shaped.as_bytes());
    }

    #[test]
    fn base64_decodes_what_was_encoded(bytes in prop::collection::vec(any::<u8>(), 0..100), url: bool, padded: bool) {
        let mut text = base64_of(&bytes, url);
        while padded && !text.len().is_multiple_of(4) {
            text.push('=');
        }
        prop_assert_eq!(base64::decode(text.as_bytes()), Some(bytes.clone()));
        let alphabet = if url { base64::URL_SAFE } else { base64::STANDARD };
        prop_assert_eq!(base64::encode(&bytes, alphabet), text.trim_end_matches('=').as_bytes());
    }
}

#[test]
fn log_ins_cut_at_every_byte_do_no_harm() {
    let digest = b"Digest username=\"Mu\\\"fasa\", realm=\"a\\\\b\", response=\"00\"".to_vec();
    for whole in [
        &b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="[..],
        &digest,
        b"username=\"chris\\\"\",realm=x",
        b"AGFubmEAZ2VoZWlt",
        b"tim b913a602c7eda7a495b4e6e7334d3890",
        b"n,,n=user,r=fyko",
        b"user=me\x01auth=Bearer y\x01\x01",
        b"\"an\\\"na\" {6}\r\ngeheim",
        b"USER anna\r\nPASS geheim\r\n",
    ] {
        for cut in 0..=whole.len() {
            decode_everything(&whole[..cut]);
            decode_everything(&whole[cut..]);
        }
    }
    for (text, bytes) in [("", Some(vec![])), ("QQ", Some(vec![65])), ("QQ==", Some(vec![65]))] {
        assert_eq!(base64::decode(text.as_bytes()), bytes);
    }
    for bad in ["Q", "QQ=", "QQ===", "Q=Q=", "QQ==QQ==", "====", "QUJD=", "Q Q=", "QÜ=="] {
        assert_eq!(base64::decode(bad.as_bytes()), None, "{bad}");
    }
    assert_eq!(http_authorization(&vec![b'a'; 70_000]), None);
}
