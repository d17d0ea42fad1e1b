//! An attempt whose credential may turn out to have expired: it is renewed, and the attempt made once more.
//!
//! AWS says so before it does anything, so that nothing is done twice. How long a renewal may take is
//! bounded; what comes in vain is a refused credential like any other, and another deployment's turn.

use std::{pin::pin, time::Duration};

use crate::{
    bedrock::{failure::Failure, fault::ErrorName},
    boundary::ledger::entry::FailedAttempt,
    data_plane::{
        answer::{NoAnswer, Tried},
        attempt::{self, Attempted, Operation},
        connection::Client,
        intake::Intake,
        scratch::Scratch,
        turn::Turn,
        worker::Worker,
    },
    limits::{RENEWAL_LOOK_MS, RENEWAL_MS_MAX},
    net::{clock, runtime::sleep},
};

/// AWS's name for a temporary credential that is too old.
const EXPIRED: &[u8] = b"ExpiredTokenException";

/// [`attempt::attempt`], and again if the credential had expired and another has come.
pub async fn attempt(
    client: &Client<'_>,
    worker: &Worker,
    scratch: &mut Scratch,
    (intake, operation): (&Intake, &Operation<'_>),
    (turn, tried): (&Turn<'_>, Tried),
) -> Attempted {
    let cell = &turn.deployment().credential;
    let Some(before) = cell.newest() else {
        return Attempted::Failed(NoAnswer::NoCredential);
    };
    let with = (turn, tried, &*before);
    let attempted = attempt::attempt(client, worker, scratch, intake, operation, with).await;
    let is_expired = matches!(&attempted, Attempted::Answered { answer, gone_until: None, .. }
        if answer.error == ErrorName::of(EXPIRED));
    if !is_expired || !cell.want_other_than(before.version) {
        return attempted;
    }
    let until = (clock::now() + Duration::from_millis(RENEWAL_MS_MAX)).min(operation.deadline);
    let renewed = loop {
        if let Some(newest) = cell.newest().filter(|newest| newest.version != before.version) {
            break newest;
        }
        if clock::now() >= until || worker.is_draining() {
            return attempted;
        }
        let look = pin!(sleep(Duration::from_millis(RENEWAL_LOOK_MS)));
        if client.inbox.unless_gone(look).await.is_err() {
            return Attempted::Abandoned;
        }
    };
    if let Attempted::Answered { upstream, .. } = attempted {
        upstream.retire(&worker.spares);
    }
    let deployment = turn.deployment().reference;
    let failure = Failure::CredentialRefused;
    scratch.account.attempt_failed(FailedAttempt { deployment, failure, ms: turn.millis() });
    let with = (turn, tried, &*renewed);
    attempt::attempt(client, worker, scratch, intake, operation, with).await
}
