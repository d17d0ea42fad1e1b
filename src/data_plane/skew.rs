//! A clock that is wrong: AWS refuses a signature whose time is five minutes off, and says what time it is.
//!
//! What its answer's Date says is kept for the endpoint, and signed by from there on, until AWS says otherwise.
//! The refused request was not executed, so it is sent once more. Only an answer that refuses is believed: no
//! other has anything to correct.

use crate::{
    boundary::{
        notice::Event,
        snapshot::{Credential, Deployment},
    },
    data_plane::{answer::Answer, worker::Worker},
    limits::CLOCK_SKEW_S_MIN,
    net::clock,
    units::UnixSeconds,
};

/// The time to sign a request of this deployment at.
#[must_use]
pub fn signing_time(deployment: &Deployment) -> UnixSeconds {
    let ahead_s = deployment.endpoint.clock_ahead_s();
    UnixSeconds(clock::unix_now().0.saturating_add_signed(ahead_s))
}

/// Whether an answer refused us while its clock and ours differ: then the difference is known from here on,
/// and the request may be sent once more.
pub fn learn(worker: &Worker, deployment: &Deployment, answer: &Answer) -> bool {
    let Some(theirs) = answer.refused_at else { return false };
    let issued = deployment.credential.newest();
    let signs = issued.is_some_and(|it| matches!(it.credential, Credential::SigV4 { .. }));
    if !signs || theirs.0.abs_diff(signing_time(deployment).0) < CLOCK_SKEW_S_MIN {
        return false;
    }
    let ahead_s = theirs.0.cast_signed().saturating_sub(clock::unix_now().0.cast_signed());
    deployment.endpoint.set_clock_ahead_s(ahead_s);
    worker.notices.tell(Some(&deployment.id), Event::ClockSkewed { ahead_s });
    true
}

/// The Date field of an answer that says that we may not (RFC 9110 §6.6.1).
#[must_use]
pub fn refused_at(status: u16, date: Option<&[u8]>) -> Option<UnixSeconds> {
    if !matches!(status, 400 | 401 | 403) {
        return None;
    }
    let date = httpdate::parse_http_date(str::from_utf8(date?).ok()?.trim()).ok()?;
    let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(UnixSeconds(since.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_tells_the_time() {
        let date: Option<&[u8]> = Some(b"Fri, 27 Nov 2026 08:00:00 GMT");
        assert_eq!(refused_at(403, date), Some(UnixSeconds(1_795_766_400)));
        assert_eq!(refused_at(200, date), None);
        assert_eq!(refused_at(403, Some(b"yesterday")), None);
        assert_eq!(refused_at(403, None), None);
    }
}
