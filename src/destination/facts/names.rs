//! Look-up of names by suffix: `mmg.whatsapp.net` is below `whatsapp.net`, `notwhatsapp.net` is not.

use foldhash::{HashMap, HashMapExt as _};

/// Values by domain; the closest domain above a name answers.
#[derive(Debug)]
pub(crate) struct Suffixes<T> {
    map: HashMap<String, T>,
}

impl<T> Suffixes<T> {
    pub(crate) fn new() -> Self {
        Suffixes { map: HashMap::new() }
    }

    /// Adds a domain and returns false when it was there already.
    pub(crate) fn insert(&mut self, domain: &str, value: T) -> bool {
        self.map.insert(domain.to_owned(), value).is_none()
    }

    /// The value of the domain itself.
    pub(crate) fn exact_mut(&mut self, domain: &str) -> Option<&mut T> {
        self.map.get_mut(domain)
    }

    /// All domains with their values, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.map.iter().map(|(domain, value)| (domain.as_str(), value))
    }

    /// The value of the name or of the closest domain above it.
    pub(crate) fn find(&self, name: &str) -> Option<&T> {
        let mut rest = name;
        loop {
            if let Some(value) = self.map.get(rest) {
                return Some(value);
            }
            rest = rest.split_once('.')?.1;
        }
    }
}

/// A name as it is looked up: a certificate's wildcard stands for the domain behind it.
pub(crate) fn plain(name: &str) -> &str {
    name.strip_prefix("*.").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_labels_match() {
        let mut names = Suffixes::new();
        assert!(names.insert("whatsapp.net", 1));
        assert!(names.insert("cdn.whatsapp.net", 2));
        assert!(!names.insert("whatsapp.net", 1));
        for (name, want) in [
            ("whatsapp.net", Some(1)),
            ("e1.whatsapp.net", Some(1)),
            ("a.cdn.whatsapp.net", Some(2)),
            ("notwhatsapp.net", None),
            ("whatsapp.net.evil.example", None),
            ("net", None),
            ("", None),
            ("..", None),
        ] {
            assert_eq!(names.find(name).copied(), want, "{name}");
        }
    }
}
