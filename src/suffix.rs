//! The Public Suffix List, asked here alone: its table is generated code of more than half a megabyte, which the compiler
//! would write anew for every part of the program that asks.

/// The public suffix of a name, if the list has a rule for it.
#[inline(never)]
pub(crate) fn known_suffix(name: &str) -> Option<&str> {
    let suffix = psl::suffix(name.as_bytes()).filter(psl::Suffix::is_known)?;
    name.get(name.len().checked_sub(suffix.as_bytes().len())?..)
}

/// The registrable domain of a name: its public suffix and one label more. None for a name that is itself a public suffix.
#[inline(never)]
pub(crate) fn domain(name: &str) -> Option<&str> {
    psl::domain_str(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_as_the_list_says() {
        assert_eq!(known_suffix("chat.example.co.uk"), Some("co.uk"));
        assert_eq!(known_suffix("host.no-such-domain"), None);
        assert_eq!(domain("chat.example.co.uk"), Some("example.co.uk"));
        assert_eq!(domain("co.uk"), None);
    }
}
