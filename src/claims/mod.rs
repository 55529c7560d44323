//! stand-in until the engine lands
use crate::model::{ClaimResult, Report};
pub struct Catalogue;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct E;
impl Catalogue { pub fn embedded() -> Result<Catalogue, E> { Ok(Catalogue) } pub fn load(_: &[std::path::PathBuf]) -> Result<Catalogue, E> { Ok(Catalogue) } }
pub fn judge(_: &Catalogue, _: &Report) -> Vec<ClaimResult> { vec![] }
