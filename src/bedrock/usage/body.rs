//! Usage from the content of an answer that is no stream.

use super::shape::{self, meaning};
use super::{Counts, Family, FieldUsage, Usage};
use crate::bedrock::operation::Action;
use crate::wire::json::Scanner;

/// Reads InvokeModel's or Converse's answer as it passes; holds none of it.
///
/// Content under a content-coding is no JSON: do not feed it. The fields still give the usage then.
#[derive(Clone, Debug)]
pub struct BodyUsage {
    scanner: Scanner,
}

impl BodyUsage {
    /// Before the first byte of an answer to `action` by a model of `family`.
    #[must_use]
    pub fn new(action: Action, family: Family) -> Self {
        let paths = match action {
            Action::Converse | Action::ConverseStream => shape::converse(),
            Action::Invoke | Action::InvokeWithResponseStream => shape::invoke(family),
            Action::ChatCompletions | Action::Responses => shape::openai(),
            Action::Rerank => shape::invoke(Family::Rerank),
            _ => shape::nothing(),
        };
        Self { scanner: Scanner::new(paths) }
    }

    /// The next piece of content.
    pub fn feed(&mut self, content: &[u8]) {
        self.scanner.feed(content);
    }

    /// The usage, when the content has ended or will not go on.
    #[must_use]
    pub fn settle(&self, fields: &FieldUsage) -> Usage {
        let mut told = Counts::default();
        take(&self.scanner, &mut Counts::default(), &mut told);
        let mut usage = Counts::settle(fields.counts(), told);
        // The fields came before the content: what they say is whole even if the content is not.
        usage.partial = !self.scanner.is_whole() && fields.counts().output.is_none();
        usage
    }
}

/// What a scan found, to its source. Where two paths give one count, the first in the table counts.
pub(super) fn take(scanner: &Scanner, billed: &mut Counts, told: &mut Counts) {
    for (label, number) in scanner.values().rev() {
        match meaning(label) {
            Some((count, true)) => billed.set(count, number),
            Some((count, false)) => told.set(count, number),
            None => {}
        }
    }
}
