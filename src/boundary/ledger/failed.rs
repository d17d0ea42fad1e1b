//! The attempts of a request that failed before the one that its entry tells of.

use super::{
    entry::{DeploymentRef, Torn},
    field::{Reader, Writer},
};
use crate::bedrock::failure::Failure;

/// Attempts that an entry has room for. Ours: with two retries, LiteLLM's default, there are two. Hit: those
/// beyond are counted (`attempts`), and not listed.
pub const FAILED_ATTEMPTS_KEPT: usize = 5;
/// Largest number of milliseconds that an attempt's time is told with.
const MS_MAX: u32 = (1 << 24) - 1;

/// One attempt that failed, and was followed by another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FailedAttempt {
    /// Whom it was for.
    pub deployment: DeploymentRef,
    /// Why it failed.
    pub failure: Failure,
    /// How long it took, in milliseconds; saturates at 4.6 hours.
    pub ms: u32,
}

/// The first few of them, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FailedAttempts {
    kept: [Option<FailedAttempt>; FAILED_ATTEMPTS_KEPT],
}

impl FailedAttempts {
    /// One more; dropped if there is no room.
    pub fn push(&mut self, attempt: FailedAttempt) {
        if let Some(place) = self.kept.iter_mut().find(|place| place.is_none()) {
            *place = Some(FailedAttempt { ms: attempt.ms.min(MS_MAX), ..attempt });
        }
    }

    /// In their order.
    pub fn iter(&self) -> impl Iterator<Item = &FailedAttempt> {
        self.kept.iter().flatten()
    }

    /// The first attempt was the last.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept[0].is_none()
    }

    /// Appends them as JSON: `[{"model_id":…,"failure":…,"ms":…}]`. `id_of` names a deployment.
    pub fn write_json(&self, mut id_of: impl FnMut(DeploymentRef) -> String, out: &mut Vec<u8>) {
        out.push(b'[');
        for (at, attempt) in self.iter().enumerate() {
            let separator = if at == 0 { "" } else { "," };
            let id = serde_json::Value::String(id_of(attempt.deployment));
            let (failure, ms) = (attempt.failure.word(), attempt.ms);
            let text =
                format!("{separator}{{\"model_id\":{id},\"failure\":\"{failure}\",\"ms\":{ms}}}");
            out.extend_from_slice(text.as_bytes());
        }
        out.push(b']');
    }

    /// 12 bytes each; a failure of 0 is none.
    pub(super) fn encode(&self, to: &mut Writer) {
        for attempt in &self.kept {
            let (deployment, code, ms) = attempt.map_or((0, 0, 0), |attempt| {
                (attempt.deployment.0, attempt.failure as u8, attempt.ms)
            });
            to.u64(deployment);
            to.u32(u32::from(code) << 24 | ms);
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, Torn> {
        let mut attempts = Self::default();
        for _ in 0..FAILED_ATTEMPTS_KEPT {
            let (deployment, word) = (DeploymentRef(from.u64()), from.u32());
            let [code, ..] = word.to_be_bytes();
            if code != 0 {
                let failure = Failure::from_code(code).ok_or(Torn)?;
                attempts.push(FailedAttempt { deployment, failure, ms: word & MS_MAX });
            }
        }
        Ok(attempts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_five_are_kept_in_their_order() {
        let mut attempts = FailedAttempts::default();
        assert!(attempts.is_empty());
        for at in 0..7 {
            let failure = Failure::ALL[at];
            let deployment = DeploymentRef(at as u64);
            attempts.push(FailedAttempt { deployment, failure, ms: u32::MAX });
        }
        assert_eq!(attempts.iter().count(), FAILED_ATTEMPTS_KEPT);
        assert!(attempts.iter().zip(Failure::ALL).all(|(it, failure)| it.failure == failure));
        assert!(attempts.iter().all(|it| it.ms == MS_MAX));
        let mut json = Vec::new();
        attempts.write_json(|it| format!("d\"{}", it.0), &mut json);
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json[4]["model_id"], "d\"4");
        assert_eq!(json[0]["failure"], "throttled");
    }
}
