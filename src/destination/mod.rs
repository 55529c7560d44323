//! For each remote end: who operates it, where it stands, under whose law it falls, what it is for.
//!
//! Takes flows with their names from `dissect`; sets the messenger of each flow ([`attribute()`]) and gives
//! [`crate::model::Destination`]s ([`destinations()`]), each fact with its source. The reference data ([`ReferenceDb`]) is
//! embedded, and made by [`build()`] from files that `reference/SOURCES.toml` names; `docs/reference.md` tells of both.
//! [`bound()`] strikes out countries that are too far for a round trip, [`exposure()`] sums up where the bytes went.
//! Never asserts a place on the word of one database, sends nothing anywhere, and knows nothing of claims.

mod aggregate;
mod attribute;
mod build;
mod cidr;
mod data;
mod db;
mod error;
mod exposure;
mod facts;
mod geo;
mod layer;
mod outlines;
mod place;
mod role;
mod sources;
mod special;
mod table;

pub use aggregate::{destinations, lookup_destination};
pub use attribute::attribute;
pub(crate) use attribute::{asked_of, asks_for, remote};
pub use build::{Import, Imported, build, import};
pub use cidr::Cidr;
pub(crate) use data::{DataFile, is_date, read_bounded};
pub use db::{AddressFacts, Answer, CloudFacts, DbInfo, ReferenceDb};
pub(crate) use db::{OLD_DAYS, outdated};
pub use error::ReferenceError;
pub use exposure::{FirstAction, Marks, exposure};
pub use facts::FactTexts;
pub use geo::{at_least, bound};
pub use outlines::Outlines;
pub use sources::{Format, Kind, Source, SourceFile, Sources};
pub use special::special;
pub use table::{SourceMeta, Tracker};

/// Whether a text is the code of a country (`reference/countries.toml`).
pub(crate) fn is_country(code: &str) -> bool {
    // A test reads the same list: it is sound.
    sources::Countries::embedded().is_ok_and(|countries| countries.lists(code))
}

/// Country of Amazon's regions, as [`build()`] needs it: the text of `reference/regions.toml`.
pub const REGIONS: &str = sources::REGIONS;
