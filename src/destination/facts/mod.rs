//! The hand-written facts: messengers, operators, adequacy, services, anycast, reverse zones, ECH configurations (`reference/*.toml`).
//!
//! Takes the text of the seven files; gives indexes that answer by name, address, AS and country. Every fault names file,
//! line and remedy. Knows nothing of flows.

pub(crate) mod adequacy;
pub(crate) mod anycast;
pub(crate) mod messengers;
pub(crate) mod names;
pub(crate) mod operators;
pub(crate) mod reverse;
pub(crate) mod services;

use super::data::DataFile;
use super::error::ReferenceError;
use crate::dissect::EchConfigs;
use crate::model::ReferenceSource;
use adequacy::Adequacy;
use anycast::Anycast;
use messengers::Messengers;
use operators::Operators;
use reverse::Reverse;
use services::Services;

/// The texts of the seven files.
#[derive(Clone, Copy, Debug)]
pub struct FactTexts<'a> {
    /// `messengers.toml`.
    pub messengers: &'a str,
    /// `operators.toml`.
    pub operators: &'a str,
    /// `adequacy.toml`.
    pub adequacy: &'a str,
    /// `services.toml`.
    pub services: &'a str,
    /// `anycast.toml`.
    pub anycast: &'a str,
    /// `reverse.toml`.
    pub reverse: &'a str,
    /// `ech.toml`.
    pub ech: &'a str,
}

impl FactTexts<'static> {
    /// Those compiled into this program.
    pub fn embedded() -> FactTexts<'static> {
        FactTexts {
            messengers: include_str!("../../../reference/messengers.toml"),
            operators: include_str!("../../../reference/operators.toml"),
            adequacy: include_str!("../../../reference/adequacy.toml"),
            services: include_str!("../../../reference/services.toml"),
            anycast: include_str!("../../../reference/anycast.toml"),
            reverse: include_str!("../../../reference/reverse.toml"),
            ech: include_str!("../../../reference/ech.toml"),
        }
    }
}

impl<'a> FactTexts<'a> {
    /// Each text with its file's name.
    pub fn named(&self) -> [(&'static str, &'a str); 7] {
        [
            ("messengers.toml", self.messengers),
            ("operators.toml", self.operators),
            ("adequacy.toml", self.adequacy),
            ("services.toml", self.services),
            ("anycast.toml", self.anycast),
            ("reverse.toml", self.reverse),
            ("ech.toml", self.ech),
        ]
    }

    /// The texts that `text` has under those names; `None` when one is missing.
    pub fn from_named(text: &dyn Fn(&str) -> Option<&'a str>) -> Option<FactTexts<'a>> {
        Some(FactTexts {
            messengers: text("messengers.toml")?,
            operators: text("operators.toml")?,
            adequacy: text("adequacy.toml")?,
            services: text("services.toml")?,
            anycast: text("anycast.toml")?,
            reverse: text("reverse.toml")?,
            ech: text("ech.toml")?,
        })
    }
}

/// All hand-written facts, checked against each other.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) messengers: Messengers,
    pub(crate) operators: Operators,
    pub(crate) adequacy: Adequacy,
    pub(crate) services: Services,
    pub(crate) anycast: Anycast,
    pub(crate) reverse: Reverse,
    /// For the dissection, which comes before all others.
    pub(crate) ech: EchConfigs,
    pub(crate) sources: Vec<ReferenceSource>,
}

impl Facts {
    /// Parses and checks the seven files.
    pub(crate) fn parse(texts: &FactTexts<'_>) -> Result<Facts, ReferenceError> {
        let operators =
            Operators::parse(DataFile { name: "reference/operators.toml", text: texts.operators })?;
        let messengers = Messengers::parse(
            DataFile { name: "reference/messengers.toml", text: texts.messengers },
            &operators,
        )?;
        let adequacy = Adequacy::parse(DataFile { name: "reference/adequacy.toml", text: texts.adequacy })?;
        let services =
            Services::parse(DataFile { name: "reference/services.toml", text: texts.services }, &operators)?;
        let anycast = Anycast::parse(DataFile { name: "reference/anycast.toml", text: texts.anycast })?;
        let reverse = Reverse::parse(DataFile { name: "reference/reverse.toml", text: texts.reverse })?;
        let ech = EchConfigs::parse(texts.ech)?;
        let own = |name, as_of, text| ReferenceSource::of_text(name, as_of, "MIT OR Apache-2.0", text);
        let sources = vec![
            own("adequacy", &adequacy.as_of, texts.adequacy),
            own("anycast", &anycast.as_of, texts.anycast),
            ReferenceSource::of_text("ech", &ech.as_of, &ech.licence, texts.ech),
            own("messengers", &messengers.as_of, texts.messengers),
            own("operators", &operators.as_of, texts.operators),
            ReferenceSource::of_text("reverse", &reverse.as_of, &reverse.licence, texts.reverse),
            own("services", &services.as_of, texts.services),
        ];
        Ok(Facts { messengers, operators, adequacy, services, anycast, reverse, ech, sources })
    }
}
