//! Test contacts that belong to nobody.
//!
//! Takes how many and the scenario's canaries; gives the same contacts each time, as a vCard file (RFC 6350) and by name and number. The
//! numbers are those that the British regulator keeps for drama, so no person has them
//! (<https://www.ofcom.org.uk/phones-and-broadband/phone-numbers/numbers-for-drama>).

use super::{CanaryKind, Scenario};

/// Beginnings of numbers for drama; three digits follow.
const DRAMA: [&str; 15] = [
    "+447700900",
    "+442079460",
    "+441134960",
    "+441144960",
    "+441154960",
    "+441164960",
    "+441174960",
    "+441184960",
    "+441214960",
    "+441314960",
    "+441414960",
    "+441514960",
    "+441614960",
    "+441632960",
    "+441914980",
];

/// Contacts that can be told apart.
pub const MAX_CONTACTS: u64 = DRAMA.len() as u64 * 1000;

/// One person who does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Name.
    pub name: String,
    /// Number in E.164 form.
    pub number: String,
}

/// The first `many` contacts. The first of all bears the scenario's canaries of the kinds name and number, where it has any.
#[must_use]
pub fn contacts(
    many: u64,
    scenario: &Scenario,
    canaries: &std::collections::BTreeMap<String, String>,
) -> Vec<Contact> {
    let value = |kind: CanaryKind| {
        let planted = scenario.canaries.iter().find(|planted| planted.kind == kind)?;
        canaries.get(&planted.name).cloned()
    };
    let mut all: Vec<Contact> = (0..many.min(MAX_CONTACTS))
        .map(|i| {
            let begin = DRAMA.get((i / 1000) as usize).copied().unwrap_or_default();
            Contact { name: format!("Testkontakt {:05}", i + 1), number: format!("{begin}{:03}", i % 1000) }
        })
        .collect();
    if let Some(first) = all.first_mut() {
        if let Some(name) = value(CanaryKind::PersonName) {
            first.name = name;
        }
        if let Some(number) = value(CanaryKind::Number) {
            first.number = number;
        }
    }
    all
}

/// A number for drama as a canary: far from those of the first contacts.
#[must_use]
pub(super) fn canary_number(random: u64) -> String {
    format!("{}{:03}", DRAMA.last().copied().unwrap_or_default(), random % 1000)
}

/// As a vCard 3.0 file, which phones import.
#[must_use]
pub fn vcard(contacts: &[Contact]) -> String {
    let plain = |text: &str| {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        text.replace('\\', "\\\\").replace(',', "\\,").replace(';', "\\;")
    };
    let mut text = String::new();
    for contact in contacts {
        let (name, number) = (plain(&contact.name), plain(&contact.number));
        text.push_str(&format!("BEGIN:VCARD\r\nVERSION:3.0\r\nN:{name};;;;\r\nFN:{name}\r\nTEL;TYPE=CELL:{number}\r\nEND:VCARD\r\n"));
    }
    text
}
