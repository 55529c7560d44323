//! Masks: what they show, and that they never show more.

use metaleak::payload::mask::{escape, mask_email, mask_number};
use metaleak::payload::{Credential, Masking, mask, mask_header, mask_target};
use proptest::prelude::*;

use crate::quick;

#[test]
fn what_masks_show() {
    assert_eq!(mask("secret-sheet"), "s…t (8 to 15 characters)");
    assert_eq!(mask("secret"), "… (under 8 characters)");
    assert_eq!(mask(""), "… (empty)");
    assert_eq!(mask("\u{1b}[31m12345\u{202e}"), "… (8 to 15 characters)");
    assert_eq!(mask_email("anna.meier@example.org"), "a…@….org (e-mail address)");
    assert_eq!(mask_email("a@b.de"), "…@… (e-mail address)");
    assert_eq!(mask_number("+49 151 123456"), "…56 (number, 8 or more digits)");
    assert_eq!(Masking::On.apply_any("+49 151 123456"), mask_number("+49 151 123456"));
    assert_eq!(Masking::On.apply_any("anna@example.org"), mask_email("anna@example.org"));
    assert_eq!(Masking::Off.apply("a\u{1b}[0m\u{202e}"), "a\\u{1b}[0m\\u{202e}");
}

#[test]
fn headers_and_targets() {
    for (name, value, shown) in [
        ("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Basic Q… (16 to 31 characters)"),
        ("Proxy-Authorization", "Bearer abcdefghijkl", "Bearer a…l (8 to 15 characters)"),
        ("authorization", "justatokenhere", "j…e (8 to 15 characters)"),
        ("Cookie", "id=0123456789; theme=dark", "id=0…9 (8 to 15 characters); theme=… (under 8 characters)"),
        (
            "Set-Cookie",
            "id=0123456789; Path=/; HttpOnly; Max-Age=60",
            "id=0…9 (8 to 15 characters); Path=/; HttpOnly; Max-Age=60",
        ),
        ("Set-Cookie", "0123456789", "0…9 (8 to 15 characters)"),
        ("X-CSRF-Token", "0123456789", "0…9 (8 to 15 characters)"),
        ("X-Api-Key", "0123456789", "0…9 (8 to 15 characters)"),
        (
            "Referer",
            "https://me:pw@a.example/x?token=0123456789&q=1",
            "https://…@a.example/x?token=0…9 (8 to 15 characters)&q=1",
        ),
        ("From", "anna@example.org", "a…@….org (e-mail address)"),
        ("Host", "chat.example", "chat.example"),
        (":authority", "chat.example", "chat.example"),
        ("WWW-Authenticate", "Basic realm=\"x\"", "Basic realm=\"x\""),
        ("User-Agent", "a\u{1b}]0;x\u{7}", "a\\u{1b}]0;x\\u{7}"),
    ] {
        assert_eq!(mask_header(name, value, Masking::On), shown, "{name}: {value}");
    }
    assert_eq!(mask_header("Cookie", "id=0123456789", Masking::Off), "id=0123456789");
    assert_eq!(
        mask_target("/find?mail=anna%40example.org&n=3", Masking::On),
        "/find?mail=a…@….org (e-mail address)&n=3"
    );
    assert_eq!(mask_target("/a/b", Masking::On), "/a/b");
}

proptest! {
    #![proptest_config(quick())]

    /// The secret is written in Greek, so that whatever Greek comes out stems from it.
    #[test]
    fn no_mask_shows_more_than_a_quarter(secret in "[α-ω]{1,60}", scheme in "(Basic |Bearer |Token |)") {
        let greek = |text: &str| text.chars().filter(|c| ('α'..='ω').contains(c)).count();
        let allowed = secret.chars().count() / 4;
        let value = format!("{scheme}{secret}");
        let outputs = [
            mask(&secret), Masking::On.apply_any(&secret),
            mask_header("Authorization", &value, Masking::On), mask_header("X-Session-Token", &secret, Masking::On),
            mask_header("Cookie", &format!("sid={secret}"), Masking::On), mask_header("Cookie", &secret, Masking::On),
            mask_header("Set-Cookie", &format!("sid={secret}; Secure"), Masking::On),
            mask_header("Set-Cookie", &format!("a=b; {secret}"), Masking::On),
            mask_target(&format!("/x?access_token={secret}"), Masking::On),
            Credential { scheme: "http-basic", user: None, secret: Some(secret.clone()) }.finding((0, 1), Masking::On, false).what,
            Credential { scheme: "http-basic", user: Some(secret.clone()), secret: None }.finding((0, 1), Masking::On, false).what,
        ];
        for out in outputs {
            prop_assert!(greek(&out) <= allowed, "{} of {}: {}", greek(&out), secret, out);
        }
        let address = format!("{secret}@{secret}.org");
        prop_assert!(greek(&mask_email(&address)) <= 1);
    }

    #[test]
    fn masked_e_mails_and_numbers_show_a_quarter(local in "[a-z.]{0,20}", domain in "[a-z.]{0,20}", digits in "[0-9]{0,20}") {
        let address = format!("{local}@{domain}");
        let shown = mask_email(&address).trim_end_matches(" (e-mail address)").chars().filter(char::is_ascii_alphabetic).count();
        prop_assert!(shown <= address.len() / 4);
        let number = mask_number(&digits);
        let shown = number.split(" (").next().unwrap().chars().filter(char::is_ascii_digit).count();
        prop_assert!(shown <= digits.len() / 4);
    }

    #[test]
    fn nothing_that_steers_a_terminal_comes_out(value in any::<String>(), name in "(Cookie|Set-Cookie|Authorization|Referer|From|X-Any|X-Token)") {
        let steers = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
        for masking in [Masking::On, Masking::Off] {
            for out in [mask_header(&name, &value, masking), mask_target(&value, masking), masking.apply(&value), masking.apply_any(&value), escape(&value)] {
                prop_assert!(!out.contains(steers), "{out:?}");
            }
        }
    }
}

/// What stands for the secret is in Greek, so that whatever Greek comes out stems from it.
#[test]
fn secrets_under_any_usual_name_are_masked_in_headers_and_targets() {
    const SECRET: &str = "αβγδεζηθικλμνξοπ";
    let shows = |text: &str| text.chars().filter(|c| ('α'..='ω').contains(c)).count() > 2;
    for target in [
        "/?kennwort=",
        "/?pw=",
        "/?pass=",
        "/?user_pass=",
        "/?login[password]=",
        "/?passw%6Frd=",
        "/?auth_key=",
        "/?passwort[]=",
        "/app/;jsessionid=",
        "/a;v=1;pin=",
        "/?redirect=http%3A%2F%2Fa%2F%3Ftoken%3D",
        "/?next=/a?x%3D1%26token%3D",
        "/?data={\"password\":\"",
        "/?data=%7B%22auth_key%22%3A%20%22",
        "/?to=http%253A%252F%252Fa%253Fpw%253D",
    ] {
        let masked = mask_target(&format!("{target}{SECRET}"), Masking::On);
        assert!(!shows(&masked), "{masked}");
    }
    for name in [
        "X-User-Pass",
        "x-pin",
        "X-JWT-Assertion",
        "X-Goog-FirebaseInstallations-Auth",
        "Ocp-Apim-Subscription-Key",
        "X-Signal-Key",
        "X-Password",
    ] {
        assert!(!shows(&mask_header(name, SECRET, Masking::On)), "{name}");
    }
    let link = mask_header("Link", &format!("<http://a.example/?token={SECRET}>; rel=next"), Masking::On);
    assert!(!shows(&link), "{link}");
    for (target, shown) in [
        ("user:secret@h.example:443", "…@h.example:443"),
        ("//user:secret@h.example/a", "//…@h.example/a"),
        ("h.example:443", "h.example:443"),
        ("/?q=a%3Ab&keyword=x&monkey=1&compass=n", "/?q=a%3Ab&keyword=x&monkey=1&compass=n"),
        ("/a;v=1/b", "/a;v=1/b"),
        ("*", "*"),
    ] {
        assert_eq!(mask_target(target, Masking::On), shown);
    }
}

#[test]
fn what_rules_find_in_headers_and_targets_is_masked() {
    let target =
        "/w?lat=48.20103&lon=16.36952&imei=490154203237518&idfa=6D92078A-8246-4BA4-AE5B-76104861E7DC&v=2";
    let shown = mask_target(target, Masking::On);
    assert_eq!(
        shown,
        "/w?lat=… (16 to 31 characters)&imei=…18 (number, 8 or more digits)&idfa=6…c (32 to 63 characters)&v=2"
    );
    assert_eq!(mask_target(target, Masking::Off), target);
    assert_eq!(
        mask_header("X-Device-IMEI", "490154203237518", Masking::On),
        "…18 (number, 8 or more digits)"
    );
    // The model of a device is a hint, not a secret.
    let agent = "App/2 (Linux; Android 13; SM-S901B) okhttp/4.9";
    assert_eq!(mask_header("User-Agent", agent, Masking::On), agent);
}

#[test]
fn telephone_numbers_in_targets() {
    for (target, shown) in [
        ("/v1/accounts/+491701234567", "/v1/accounts/…67 (number, 8 or more digits)"),
        ("/v1/%2B49%20170%201234567/keys", "/v1/…67 (number, 8 or more digits)/keys"),
        (
            "https://chat.example/tel:01701234567?x=1",
            "https://chat.example/…67 (number, 8 or more digits)?x=1",
        ),
        ("/send?phone=491701234567&text=hi", "/send?phone=…67 (number, 8 or more digits)&text=hi"),
        ("/send?to=%2b491701234567", "/send?to=…67 (number, 8 or more digits)"),
        ("/send?to=00491701234567#a", "/send?to=…67 (number, 8 or more digits)#a"),
        // Times, ids and sizes are none.
        ("/at/1700000000?t=1700000000&page=12", "/at/1700000000?t=1700000000&page=12"),
        ("/a/+1?n=+12", "/a/+1?n=+12"),
        ("/phone/list?phone=no", "/phone/list?phone=no"),
    ] {
        assert_eq!(mask_target(target, Masking::On), shown);
        assert_eq!(mask_target(target, Masking::Off), target);
    }
}
