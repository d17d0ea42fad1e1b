//! Whether a request went well, for whom: the client's view and the deployment's differ.

use crate::boundary::ledger::entry::{Entry, Marks, Outcome};

/// What an entry says of the deployment that served it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It answered with success.
    Success,
    /// It answered with an error, not at all, or broke off.
    Failure {
        /// Whether that speaks against the deployment, not the request.
        is_outage: bool,
    },
    /// It had no chance to do either.
    None,
}

pub(super) fn of_deployment(entry: &Entry) -> Verdict {
    use Outcome::{
        AnswerCut, ClientGone, Drained, Incomplete, Interrupted, NoAnswer, NotSent, Open, Page,
        Refused, StreamCorrupt, Whole,
    };
    match entry.outcome {
        Open | Interrupted | Refused | Page | Incomplete => Verdict::None,
        AnswerCut | StreamCorrupt | NoAnswer | NotSent => Verdict::Failure { is_outage: true },
        Whole | ClientGone | Drained => match entry.status {
            400.. => Verdict::Failure { is_outage: is_outage(entry.status) },
            _ if entry.marks.has(Marks::STREAM_EXCEPTION) => Verdict::Failure { is_outage: true },
            200.. => Verdict::Success,
            _ => Verdict::None,
        },
    }
}

/// A credential, a model or a quota that is not there fails every request; a request that is invalid fails
/// anywhere.
fn is_outage(status: u16) -> bool {
    matches!(status, 401..=404 | 408 | 424 | 429 | 500..)
}

/// Whether the client got no success, through no doing of its own. Not for pages.
pub(super) fn has_failed(entry: &Entry) -> bool {
    let ours = matches!(entry.outcome, Outcome::Refused | Outcome::Interrupted);
    ours || matches!(of_deployment(entry), Verdict::Failure { .. })
}

/// What a failure is called: the error's name if it has one.
pub(super) fn class(entry: &Entry) -> &'static str {
    match entry.error.text() {
        "" if entry.marks.has(Marks::STREAM_EXCEPTION) => "stream_exception",
        "" if entry.outcome == Outcome::Whole => "none",
        "" => entry.outcome.word(),
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_failed() {
        let check = |outcome, status, marks, deployment, failed| {
            let entry = Entry { outcome, status, marks, ..Entry::default() };
            assert_eq!(of_deployment(&entry), deployment, "{outcome:?} {status}");
            assert_eq!(has_failed(&entry), failed, "{outcome:?} {status}");
        };
        let none = Marks::default();
        let (failure, outage) =
            (Verdict::Failure { is_outage: false }, Verdict::Failure { is_outage: true });
        check(Outcome::Whole, 200, none, Verdict::Success, false);
        check(Outcome::Whole, 200, Marks::STREAM_EXCEPTION, outage, true);
        check(Outcome::Whole, 400, none, failure, true);
        check(Outcome::Whole, 429, none, outage, true);
        check(Outcome::Whole, 503, none, outage, true);
        check(Outcome::ClientGone, 200, none, Verdict::Success, false);
        check(Outcome::ClientGone, 0, none, Verdict::None, false);
        check(Outcome::Drained, 200, none, Verdict::Success, false);
        check(Outcome::AnswerCut, 200, none, outage, true);
        check(Outcome::StreamCorrupt, 200, none, outage, true);
        check(Outcome::NoAnswer, 504, none, outage, true);
        check(Outcome::NotSent, 503, none, outage, true);
        check(Outcome::Interrupted, 0, none, Verdict::None, true);
        check(Outcome::Refused, 403, none, Verdict::None, true);
    }
}
