//! From what several sources say of a country to how far they agree.

use crate::model::{Agreement, Place};

/// The country that can be told, and how far the sources agree (CONTRACT: none where they disagree).
pub(crate) fn agree(places: &[Place]) -> (Option<String>, Agreement) {
    let votes = |country: &str| places.iter().filter(|place| place.country == country).count();
    let best = places.iter().map(|place| place.country.as_str()).max_by_key(|country| votes(country));
    let Some(best) = best else { return (None, Agreement::None) };
    let (count, all) = (votes(best), places.len());
    let agreement = match (count, all) {
        (1, 1) => Agreement::Single,
        (count, all) if count == all => Agreement::All,
        (count, all) if count * 2 > all => Agreement::Majority,
        _ => return (None, Agreement::Disagree),
    };
    (Some(best.to_owned()), agreement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_by_votes() {
        for (codes, country, agreement) in [
            ("", None, Agreement::None),
            ("CH", Some("CH"), Agreement::Single),
            ("CH CH", Some("CH"), Agreement::All),
            ("CH CH CH", Some("CH"), Agreement::All),
            ("US IE IE", Some("IE"), Agreement::Majority),
            ("VG RU NL", None, Agreement::Disagree),
            ("US IE", None, Agreement::Disagree),
            ("US US IE IE", None, Agreement::Disagree),
            ("US IE IE IE", Some("IE"), Agreement::Majority),
        ] {
            let place =
                |code: &str| Place { country: code.into(), source: String::new(), as_of: String::new() };
            let places: Vec<Place> = codes.split_whitespace().map(place).collect();
            assert_eq!(agree(&places), (country.map(str::to_owned), agreement), "{codes}");
        }
    }
}
