//! The sentences that explain verdicts, from `claims/wording.toml`.

use std::collections::BTreeMap;

use crate::model::Text;

const FILE: &str = include_str!("../../claims/wording.toml");

/// Sentences by key.
pub(super) struct Words(BTreeMap<String, Text>);

impl Words {
    /// Those built in; a test keeps the file free of faults and complete.
    pub(super) fn embedded() -> Words {
        Words(toml::from_str(FILE).unwrap_or_default())
    }

    /// The sentence of `key`, with `{name}` replaced.
    pub(super) fn say(&self, key: &str, values: &[(&str, String)]) -> Text {
        let Some(text) = self.0.get(key) else { return Text { en: key.to_owned(), de: key.to_owned() } };
        let fill = |sentence: &str| {
            values
                .iter()
                .fold(sentence.to_owned(), |s, (name, value)| s.replace(&format!("{{{name}}}"), value))
        };
        Text { en: fill(&text.en), de: fill(&text.de) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_both_sentences() {
        let words: BTreeMap<String, Text> = toml::from_str(FILE).unwrap();
        for key in [
            "documentary",
            "not-seen",
            "vantage",
            "contradicted",
            "too-few-runs",
            "control-failed",
            "steps-missing",
            "supported",
            "not-contradicted",
            "not-contradicted-uncontrolled",
            "opaque",
            "undecided",
            "recorded",
            "app",
            "app-unknown",
        ] {
            let text = words.get(key).unwrap_or_else(|| panic!("claims/wording.toml lacks [{key}]"));
            assert!(!text.en.is_empty() && !text.de.is_empty(), "{key}");
        }
        assert_eq!(words.len(), 15, "a key that nothing uses");
    }
}
