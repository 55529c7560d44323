//! Protocols of which only the step to TLS is read: what may come before it, one message of each side, then TLS or nothing that can
//! be told.
//!
//! Takes both directions; asks the protocol ([`Agreement`]) what the two messages are, and hands over to TLS. Whatever is not as it has
//! to be, and all that follows a refusal, is opaque.

use super::reader::Short;
use super::{Class, Cx, Dissector, Step};
use crate::model::Direction;

const OPAQUE: Class = Class::opaque("opaque");

/// The two messages of a protocol that agree on TLS.
pub(super) trait Agreement: Default + Send {
    /// Of both messages in the ledger.
    const CLASS: Class;
    /// Who speaks first.
    const FIRST: Direction;

    /// The size of a message that may come before the step, which the session goes on with; `Ok(None)` when it is none.
    ///
    /// # Errors
    /// [`Short`]: it cannot be told yet.
    fn before(&mut self, d: Direction, data: &[u8]) -> Result<Option<usize>, Short> {
        // The other side comes first where packets were captured out of their order.
        if d == Self::FIRST {
            Ok(None)
        } else {
            Err(Short { field: "first message", at: 0, needed: 1, left: data.len() })
        }
    }

    /// The size of the first message; `Ok(None)` when it is another.
    ///
    /// # Errors
    /// [`Short`]: it is not all there.
    fn first(&mut self, data: &[u8]) -> Result<Option<usize>, Short>;

    /// The size of the second message and whether TLS follows; `Ok(None)` when it is another.
    ///
    /// # Errors
    /// [`Short`]: it is not all there.
    fn second(&mut self, data: &[u8]) -> Result<Option<(usize, bool)>, Short>;
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    First,
    Second,
    /// No TLS, or not as it has to be.
    Rest,
}

/// The dissector of such a protocol.
#[derive(Default)]
pub(super) struct StepToTls<A> {
    stage: Stage,
    agreement: A,
}

impl<A: Agreement> Dissector for StepToTls<A> {
    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        let size = match (self.stage, d == A::FIRST) {
            (Stage::First, true) => match self.agreement.first(data) {
                Ok(None) => self.agreement.before(d, data),
                first => first.inspect(|_| self.stage = Stage::Second),
            },
            (Stage::First, false) => self.agreement.before(d, data),
            (Stage::Second, false) => self.agreement.second(data).map(|answer| {
                let (size, granted) = answer?;
                self.stage = Stage::Rest;
                if granted {
                    cx.switch_to("tls");
                }
                Some(size)
            }),
            (Stage::Second, true) => return Step::More(data.len() + 1),
            (Stage::Rest, _) => Ok(None),
        };
        match size {
            Ok(Some(size)) => Step::Took(size, A::CLASS),
            Err(_) => Step::More(data.len() + 1),
            Ok(None) => {
                self.stage = Stage::Rest;
                Step::Took(data.len(), OPAQUE)
            }
        }
    }

    fn gap(&mut self, _: Direction, _: u64, _: &mut Cx<'_>) {
        self.stage = Stage::Rest;
    }

    fn unfinished(&self) -> Class {
        OPAQUE
    }
}
