//! Predicates of claims read aloud: what would have to be seen, in the reader's language.
//!
//! Takes checked predicates and the wording; gives one line of text. Every quantifier, subject and condition has its phrase in `locales/*.ftl`
//! (`say-…`), which a test demands; values without a phrase of their own stand as the claim file writes them.

use crate::claims::{Conditions, Leaf, Predicate, Quantifier, Subject, Value};
use crate::report::{Arg, Wording, escape_terminal};

/// A predicate in words.
pub(super) fn predicate(predicate: &Predicate, wording: &Wording) -> String {
    let join = |parts: &[Predicate], word: &str| {
        let parts: Vec<String> =
            parts.iter().map(|part| format!("({})", self::predicate(part, wording))).collect();
        parts.join(&format!(" {} ", wording.text(word)))
    };
    match predicate {
        Predicate::AllOf(parts) => join(parts, "say-and"),
        Predicate::InOneRun(parts) => {
            wording.with("say-within-run", &[("what", Arg::Text(&join(parts, "say-and")))])
        }
        Predicate::AnyOf(parts) => join(parts, "say-or-else"),
        Predicate::Not(inner) => {
            wording.with("say-not", &[("what", Arg::Text(&self::predicate(inner, wording)))])
        }
        Predicate::Leaf(leaf) => of_leaf(leaf, wording),
    }
}

fn of_leaf(leaf: &Leaf, wording: &Wording) -> String {
    let subject = subject(leaf.subject);
    let share = match leaf.quantifier {
        Quantifier::Share(share) => wording.decimal(share * 100.0, 0) + "\u{a0}%",
        _ => String::new(),
    };
    let count = match leaf.quantifier {
        Quantifier::Count(count) => count,
        _ => 0,
    };
    let id = match leaf.quantifier {
        Quantifier::Any => "say-any",
        Quantifier::All => "say-all",
        Quantifier::None => "say-none",
        Quantifier::Count(_) => "say-count",
        Quantifier::Share(_) => "say-share",
    };
    let values = [("subject", Arg::Text(subject)), ("n", Arg::Count(count)), ("share", Arg::Text(&share))];
    let mut said = wording.with(id, &values);
    let of = conditions(leaf.subject, &leaf.of, wording);
    if !of.is_empty() {
        said = wording.with("say-among", &[("what", Arg::Text(&said)), ("of", Arg::Text(&of))]);
    }
    let what = conditions(leaf.subject, &leaf.conditions, wording);
    let what = if what.is_empty() { wording.text("say-present") } else { what };
    wording.with("say-holds", &[("who", Arg::Text(&said)), ("what", Arg::Text(&what))])
}

fn subject(subject: Subject) -> &'static str {
    match subject {
        Subject::Flows => "flows",
        Subject::Destinations => "destinations",
        Subject::Findings => "findings",
        Subject::Names => "names",
        Subject::Doses => "doses",
        Subject::Calls => "calls",
        Subject::Steps => "steps",
    }
}

/// What belongs to an item: the subject of its conditions.
fn inner(condition: &str) -> Subject {
    if condition == "to" { Subject::Destinations } else { Subject::Flows }
}

fn conditions(of: Subject, conditions: &Conditions, wording: &Wording) -> String {
    let part = |(name, value): (&'static str, &Value)| {
        let id = format!("say-{}-{}", subject(of), name.replace('_', "-"));
        let said = match value {
            Value::Flag(true) => return wording.text(&format!("{id}-yes")),
            Value::Flag(false) => return wording.text(&format!("{id}-no")),
            Value::Words(list) => {
                let list: Vec<String> = list.iter().map(|word| of_word(name, word, wording)).collect();
                alternatives(&list, wording)
            }
            Value::Numbers(list) => {
                let list: Vec<String> = list.iter().map(u64::to_string).collect();
                alternatives(&list, wording)
            }
            Value::Limit(limit) => {
                let places = if limit.fract() == 0.0 { 0 } else { 2 };
                wording.decimal(*limit, places)
            }
            Value::Of(inside) => format!("[{}]", self::conditions(inner(name), inside, wording)),
        };
        wording.with(&id, &[("value", Arg::Text(&said))])
    };
    let parts: Vec<String> = conditions.iter().map(part).collect();
    parts.join("; ")
}

/// `a, b or c`.
fn alternatives(choices: &[String], wording: &Wording) -> String {
    match choices {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {} {last}", first.join(", "), wording.text("say-or")),
    }
}

/// A value in words: as the condition words it, as reports do, or as it is written.
fn of_word(condition: &str, word: &str, wording: &Wording) -> String {
    if condition == "cipher" {
        return CIPHERS
            .iter()
            .find(|(number, _)| *number == word)
            .map_or_else(|| word.to_owned(), |(number, name)| format!("{name} ({number})"));
    }
    let family = match condition.strip_prefix("not_").unwrap_or(condition) {
        "country" | "jurisdiction" | "seat" | "place_law" | "service_seat" | "rtt_excludes"
        | "rtt_leaves_out" => {
            return wording.country(word);
        }
        "role" => "role-",
        "basis" | "seat_basis" | "place_basis" | "service_seat_basis" => "say-value-basis-",
        "agreement" => "agreement-",
        "kind" => "kind-",
        "severity" => "severity-",
        "direction" => "direction-",
        "own_class" => "say-value-class-",
        "tls_version" => "say-value-encryption-",
        _ => "",
    };
    let plain = word.replace(['.', '_'], "-");
    let condition = condition.strip_prefix("not_").unwrap_or(condition).replace('_', "-");
    let known = |id: String| wording.optional(&id);
    known(format!("say-value-{condition}-{plain}"))
        .or_else(|| if family.is_empty() { None } else { known(format!("{family}{plain}")) })
        .unwrap_or_else(|| escape_terminal(word).into_owned())
}

// typos: off
/// Names of cipher suites by the IANA registry of TLS parameters: those that the catalogue names.
const CIPHERS: [(&str, &str); 45] = [
    ("0x0000", "TLS_NULL_WITH_NULL_NULL"),
    ("0x0001", "TLS_RSA_WITH_NULL_MD5"),
    ("0x0002", "TLS_RSA_WITH_NULL_SHA"),
    ("0x0004", "TLS_RSA_WITH_RC4_128_MD5"),
    ("0x0005", "TLS_RSA_WITH_RC4_128_SHA"),
    ("0x0009", "TLS_RSA_WITH_DES_CBC_SHA"),
    ("0x000a", "TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
    ("0x0013", "TLS_DHE_DSS_WITH_3DES_EDE_CBC_SHA"),
    ("0x0016", "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA"),
    ("0x002c", "TLS_PSK_WITH_NULL_SHA"),
    ("0x002d", "TLS_DHE_PSK_WITH_NULL_SHA"),
    ("0x002e", "TLS_RSA_PSK_WITH_NULL_SHA"),
    ("0x002f", "TLS_RSA_WITH_AES_128_CBC_SHA"),
    ("0x0035", "TLS_RSA_WITH_AES_256_CBC_SHA"),
    ("0x003b", "TLS_RSA_WITH_NULL_SHA256"),
    ("0x003c", "TLS_RSA_WITH_AES_128_CBC_SHA256"),
    ("0x003d", "TLS_RSA_WITH_AES_256_CBC_SHA256"),
    ("0x0041", "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA"),
    ("0x0084", "TLS_RSA_WITH_CAMELLIA_256_CBC_SHA"),
    ("0x009c", "TLS_RSA_WITH_AES_128_GCM_SHA256"),
    ("0x009d", "TLS_RSA_WITH_AES_256_GCM_SHA384"),
    ("0x009e", "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"),
    ("0x009f", "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"),
    ("0x1301", "TLS_AES_128_GCM_SHA256"),
    ("0x1302", "TLS_AES_256_GCM_SHA384"),
    ("0x1303", "TLS_CHACHA20_POLY1305_SHA256"),
    ("0x1304", "TLS_AES_128_CCM_SHA256"),
    ("0x1305", "TLS_AES_128_CCM_8_SHA256"),
    ("0xc001", "TLS_ECDH_ECDSA_WITH_NULL_SHA"),
    ("0xc006", "TLS_ECDHE_ECDSA_WITH_NULL_SHA"),
    ("0xc007", "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA"),
    ("0xc008", "TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA"),
    ("0xc00b", "TLS_ECDH_RSA_WITH_NULL_SHA"),
    ("0xc010", "TLS_ECDHE_RSA_WITH_NULL_SHA"),
    ("0xc011", "TLS_ECDHE_RSA_WITH_RC4_128_SHA"),
    ("0xc012", "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"),
    ("0xc015", "TLS_ECDH_anon_WITH_NULL_SHA"),
    ("0xc02b", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    ("0xc02c", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    ("0xc02f", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    ("0xc030", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    ("0xcca8", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    ("0xcca9", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    ("0xccaa", "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    ("0xc0ac", "TLS_ECDHE_ECDSA_WITH_AES_128_CCM"),
];
// typos: on
