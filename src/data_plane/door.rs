//! Who asks: let in by a key, or by a signature that is to be checked once the content is there.

use crate::{
    bedrock::{
        fault::Fault,
        operation::{self, Target},
    },
    boundary::snapshot::Snapshot,
    policy::auth::{Admission, Denial},
    units::UnixSeconds,
    wire::{
        http1::head::RequestHead,
        sigv4::{Presented, Refused, SigningKey, Unverified},
    },
};

/// The service that all of Bedrock's clients sign for.
const SERVICE: &str = "bedrock";

/// What is found out of who asks, before the content is there.
pub struct Door<'d> {
    /// Where a signature is put.
    pub unverified: &'d mut Unverified,
    /// The client credential that it is of: its place.
    pub signer: &'d mut Option<usize>,
    /// Not let in.
    pub is_refused: &'d mut bool,
    /// By the wall clock.
    pub now: UnixSeconds,
}

impl Door<'_> {
    /// Lets in who has a key, and takes the signature of who signs.
    ///
    /// # Errors
    /// The fault.
    pub fn admit(
        &mut self,
        head: &RequestHead<'_, '_>,
        target: &Target<'_>,
        snapshot: &Snapshot,
    ) -> Result<(), Fault> {
        let admitted = self.judge(head, target, snapshot);
        *self.is_refused = admitted.is_err();
        admitted
    }

    fn judge(
        &mut self,
        head: &RequestHead<'_, '_>,
        target: &Target<'_>,
        snapshot: &Snapshot,
    ) -> Result<(), Fault> {
        let admission = snapshot.keys.admit(head.fields).map_err(|denial| match denial {
            Denial::Missing => Fault::MissingKey,
            Denial::Wrong => Fault::WrongKey,
            Denial::WrongId => Fault::WrongAccessKeyId,
            Denial::Unverified => Fault::UnverifiedSignature,
            Denial::Ambiguous => Fault::BadRequest("A field that carries a key is there twice."),
        })?;
        let Admission::Signed(at) = admission else { return Ok(()) };
        if !matches!(target, Target::Model { .. } | Target::Bedrock { .. }) {
            return Err(Fault::NotForPages);
        }
        let parts = operation::path_and_query(head.target);
        let (path, query) = parts.ok_or(Fault::InvalidSignature)?;
        let (method, fields, now) = (head.method, head.fields, self.now);
        let presented = Presented { method, path, query, fields, now };
        self.unverified.take(&presented).map_err(fault_of)?;
        *self.signer = Some(at);
        Ok(())
    }
}

/// What a refused signature is answered with.
#[must_use]
pub fn fault_of(refused: Refused) -> Fault {
    match refused {
        Refused::Incomplete => Fault::IncompleteSignature,
        Refused::Mismatch | Refused::Unsigned => Fault::InvalidSignature,
        Refused::Expired => Fault::SignatureExpired,
        Refused::Early => Fault::SignatureEarly,
    }
}

/// Keys of one core that clients' signatures are checked with, one per client credential: of the day and the
/// region that it signed for last.
#[derive(Default)]
pub struct CheckingKeys {
    generation: u64,
    keys: Vec<Option<Kept>>,
}

struct Kept {
    day: [u8; 8],
    region: String,
    key: SigningKey,
}

impl CheckingKeys {
    /// Checks the signature of the snapshot's client credential `signer` over content of this hash.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check(
        &mut self,
        snapshot: &Snapshot,
        signer: usize,
        unverified: &mut Unverified,
        content_sha256: &[u8; 32],
    ) -> Result<(), Refused> {
        if self.generation != snapshot.generation {
            self.generation = snapshot.generation;
            self.keys.clear();
        }
        if self.keys.len() <= signer {
            self.keys.resize_with(signer + 1, || None);
        }
        let (day, region) = unverified.scope().ok_or(Refused::Incomplete)?;
        let slot = &mut self.keys[signer];
        if slot.as_ref().is_none_or(|kept| kept.day != *day || kept.region != region) {
            let secret = &snapshot.keys.client(signer).secret_access_key;
            let key = SigningKey::derive(secret.expose(), day, region, SERVICE);
            *slot = Some(Kept { day: *day, region: region.to_owned(), key });
        }
        unverified.check(content_sha256, &slot.as_ref().expect("just filled").key)
    }
}
