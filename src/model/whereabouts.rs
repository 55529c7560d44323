//! The place of a vantage: a country, or a point on the globe.
//!
//! Takes the text of `run.json` or `--vantage`; gives a value that is one of both. Whether a country has an outline is not known here.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a capture was taken, as far as its auditor said it. Written as `DE` or as `47.37,8.54` (degrees north, degrees east).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Whereabouts {
    /// ISO 3166-1 alpha-2 code: anywhere in that country.
    Country(String),
    /// A point.
    Point {
        /// Millionths of a degree north of the equator.
        lat: i32,
        /// Millionths of a degree east of Greenwich.
        lon: i32,
    },
}

impl Whereabouts {
    /// Degrees north and east of a point.
    #[must_use]
    pub fn degrees(&self) -> Option<(f64, f64)> {
        match self {
            Whereabouts::Country(_) => None,
            Whereabouts::Point { lat, lon } => Some((f64::from(*lat) / 1e6, f64::from(*lon) / 1e6)),
        }
    }
}

/// A text that is neither a country code nor a pair of degrees.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no place: give a country as its two capital letters (DE), or degrees north and east (47.37,8.54)"
)]
pub struct NoPlace(pub String);

impl FromStr for Whereabouts {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Whereabouts, NoPlace> {
        let wrong = || NoPlace(text.chars().take(80).collect());
        if text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()) {
            return Ok(Whereabouts::Country(text.to_owned()));
        }
        let (lat, lon) = text.split_once(',').ok_or_else(wrong)?;
        let degrees = |text: &str, most: f64| {
            let value: f64 = text.trim().parse().ok()?;
            // Not a number is within no bounds; the product fits, 180 millions at most.
            (value.abs() <= most).then(|| (value * 1e6).round() as i32)
        };
        match (degrees(lat, 90.0), degrees(lon, 180.0)) {
            (Some(lat), Some(lon)) => Ok(Whereabouts::Point { lat, lon }),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Whereabouts {
    type Error = NoPlace;

    fn try_from(text: String) -> Result<Whereabouts, NoPlace> {
        text.parse()
    }
}

impl From<Whereabouts> for String {
    fn from(place: Whereabouts) -> String {
        place.to_string()
    }
}

impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.degrees() {
            Some((lat, lon)) => write!(f, "{lat},{lon}"),
            None => match self {
                Whereabouts::Country(code) => f.write_str(code),
                Whereabouts::Point { .. } => Ok(()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_countries_and_points() {
        for (text, written) in [
            ("DE", Some("DE")),
            ("47.37,8.54", Some("47.37,8.54")),
            ("-33.9, 18.4", Some("-33.9,18.4")),
            ("90,-180", Some("90,-180")),
            ("de", None),
            ("D", None),
            ("47.37", None),
            ("91,0", None),
            ("0,180.1", None),
            ("NaN,1", None),
            ("inf,1", None),
            ("1,2,3", None),
            ("", None),
            ("ÄÖ", None),
        ] {
            assert_eq!(text.parse::<Whereabouts>().ok().map(|p| p.to_string()).as_deref(), written, "{text}");
            assert_eq!(written.map(str::parse), written.map(str::parse::<Whereabouts>), "reads back");
        }
    }
}
