//! THE ROAD: one request from its head to the last byte of its answer.
//!
//! ```text
//!   read_head → judge ─┬─ fault or page → answer here
//!                      └─ operation → read_content (hashed as it comes)
//!                           → trials: pick a deployment ◀─────────────────────────┐
//!                               → attempt: connect or reuse → sign, send → head ──┘ failed: elsewhere
//!                               → relay content
//!                           → ledger entry, however it ended
//! ```

use std::time::Duration;

use crate::{
    bedrock::{fault::Fault, operation::Action},
    boundary::{
        ledger::entry::{KeyRef, Outcome},
        snapshot::Snapshot,
    },
    data_plane::{
        account::Asker,
        answer::Tried,
        attempt::Operation,
        connection::Client,
        door::fault_of,
        errand,
        intake::{CallId, Intake, Purpose, Route, group_in_content},
        place::Place,
        reply::{self, Frame},
        request::{Early, discard_content, read_content, read_head},
        scratch::Scratch,
        trials::operate,
        worker::Worker,
    },
    limits::CLIENT_STALL_MS_MAX,
    net::clock,
};

const CLIENT_STALL: Duration = Duration::from_millis(CLIENT_STALL_MS_MAX);

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum After {
    /// The next request may come.
    Next,
    /// It ends in order.
    Close,
    /// It ends so that the client cannot take what it has for the whole.
    Cut,
    /// The client left.
    Gone,
}

/// Serves one request, whose first bytes are there, and closes its account.
pub async fn exchange(client: &Client<'_>, worker: &Worker, scratch: &mut Scratch) -> After {
    let place = Place::new(worker);
    let after = serve(client, worker, scratch, &place).await;
    scratch.account.close();
    after
}

async fn serve(
    client: &Client<'_>,
    worker: &Worker,
    scratch: &mut Scratch,
    place: &Place<'_>,
) -> After {
    let snapshot = worker.snapshot();
    let mut intake = match read_head(client, worker, &snapshot, scratch).await {
        Ok(intake) => intake,
        Err(Early::Gone) => return After::Gone,
        Err(Early::Fault(fault)) => return refuse_head(client, worker, scratch, fault).await,
    };
    let key = if intake.is_admitted { snapshot.key } else { KeyRef::default() };
    let call_id = intake.call_id.chosen();
    let asker = Asker { call_id, key, address: Some(client.address), core: worker.number };
    scratch.account.open(worker.ledger.as_ref(), intake.birth, &asker);
    worker.counters.requests.add(1);
    intake.keeps_alive &= client.counts_one_more(snapshot.bounds.requests_per_connection_max);
    if let Some(signer) = intake.signer {
        // Nothing that was found out is told, and nothing done, before the signature is right.
        if place.operate(&snapshot.bounds).is_err() {
            return refuse(client, worker, scratch, &intake, Fault::Overloaded).await;
        }
        return match read_content((client, place), worker, &snapshot, &intake, scratch).await {
            Ok(hash) => {
                serve_signed(client, worker, scratch, (&snapshot, &intake, place), (signer, hash))
                    .await
            }
            Err(early) => end_early(client, scratch, &intake, early).await,
        };
    }
    match &intake.purpose {
        Err(fault) => refuse(client, worker, scratch, &intake, *fault).await,
        Ok(Purpose::Page(page)) => {
            scratch.account.is_page();
            let keeps_alive =
                may_continue(worker, &intake) && discard_content(client, intake.framing).await;
            let frame = frame(&intake, keeps_alive);
            let is_draining = worker.is_draining();
            let status =
                reply::write_page(*page, &snapshot.pages, is_draining, &frame, &mut scratch.out);
            scratch.account.paged(status);
            finish(client, scratch, after(keeps_alive)).await
        }
        Ok(Purpose::Admin(page)) => {
            scratch.account.is_page();
            errand::exchange(client, worker, &snapshot, scratch, (&intake, place), *page).await
        }
        Ok(Purpose::Operation { route, action }) => {
            scratch.account.asked(*action);
            if place.operate(&snapshot.bounds).is_err() {
                return refuse(client, worker, scratch, &intake, Fault::Overloaded).await;
            }
            match read_content((client, place), worker, &snapshot, &intake, scratch).await {
                Ok(hash) => {
                    let what = (*route, *action, hash);
                    operate_on(client, worker, scratch, (&snapshot, &intake, place), what).await
                }
                Err(early) => end_early(client, scratch, &intake, early).await,
            }
        }
    }
}

/// What becomes of a request whose content does not come.
async fn end_early(
    client: &Client<'_>,
    scratch: &mut Scratch,
    intake: &Intake,
    early: Early,
) -> After {
    match early {
        Early::Gone => {
            scratch.account.ends(Outcome::Incomplete);
            After::Gone
        }
        Early::Fault(fault) => answer_fault(client, scratch, intake, fault, false).await,
    }
}

/// Serves a request whose content is whole, if its signature is right.
async fn serve_signed(
    client: &Client<'_>,
    worker: &Worker,
    scratch: &mut Scratch,
    (snapshot, intake, place): (&Snapshot, &Intake, &Place<'_>),
    (signer, hash): (usize, [u8; 32]),
) -> After {
    let signature = &mut scratch.unverified;
    let checked = worker.checking.borrow_mut().check(snapshot, signer, signature, &hash);
    if checked.is_ok() {
        scratch.account.is_of(snapshot.client_keys[signer]);
    }
    match checked.map_err(fault_of).and(intake.purpose.as_ref().map_err(|fault| *fault)) {
        Ok(Purpose::Operation { route, action }) => {
            scratch.account.asked(*action);
            let what = (*route, *action, hash);
            operate_on(client, worker, scratch, (snapshot, intake, place), what).await
        }
        Ok(Purpose::Page(_) | Purpose::Admin(_)) => {
            let keeps_alive = may_continue(worker, intake);
            answer_fault(client, scratch, intake, Fault::NotForPages, keeps_alive).await
        }
        Err(fault) => {
            let keeps_alive = may_continue(worker, intake) && !fault.ends_connection();
            answer_fault(client, scratch, intake, fault, keeps_alive).await
        }
    }
}

/// Serves an operation whose content is whole.
async fn operate_on(
    client: &Client<'_>,
    worker: &Worker,
    scratch: &mut Scratch,
    (snapshot, intake, place): (&Snapshot, &Intake, &Place<'_>),
    (route, action, content_sha256): (Route, Action, [u8; 32]),
) -> After {
    scratch.account.received(scratch.content.len());
    let group = match route {
        Route::Group(group) => Ok(group),
        Route::Content(member) => group_in_content(snapshot, member, &scratch.content),
    };
    let group = match group {
        Ok(group) => group,
        Err(fault) => {
            let keeps_alive = may_continue(worker, intake);
            return answer_fault(client, scratch, intake, fault, keeps_alive).await;
        }
    };
    let operation = Operation {
        snapshot,
        group,
        action,
        is_repeatable: action.is_repeatable(scratch.forwarded.method()),
        content_sha256,
        deadline: clock::now() + snapshot.request_timeout,
        place,
    };
    operate(client, worker, scratch, intake, &operation).await
}

/// Answers what is no request, as far as it came, or one that nobody will read.
pub(super) async fn refuse_head(
    client: &Client<'_>,
    worker: &Worker,
    scratch: &mut Scratch,
    fault: Fault,
) -> After {
    let birth = worker.birth();
    let (key, core) = (KeyRef::default(), worker.number);
    let asker = Asker { call_id: None, key, address: Some(client.address), core };
    scratch.account.open(worker.ledger.as_ref(), birth, &asker);
    scratch.account.faulted(fault);
    let call_id = CallId::fresh(birth.id);
    let now = clock::unix_now();
    let frame = Frame { call_id: &call_id, keeps_alive: false, is_head: false, now, tried: None };
    reply::write_fault(fault, &frame, &mut scratch.out);
    finish(client, scratch, After::Close).await
}

/// Answers a request whose content is still to come with a fault.
async fn refuse(
    client: &Client<'_>,
    worker: &Worker,
    scratch: &mut Scratch,
    intake: &Intake,
    fault: Fault,
) -> After {
    // A client that waits for 100 Continue and hears no is free to send its content or not; we cannot
    // tell, so the connection ends.
    let keeps_alive = may_continue(worker, intake)
        && !fault.ends_connection()
        && !intake.expects_continue
        && discard_content(client, intake.framing).await;
    answer_fault(client, scratch, intake, fault, keeps_alive).await
}

/// Answers with a fault.
pub(super) async fn answer_fault(
    client: &Client<'_>,
    scratch: &mut Scratch,
    intake: &Intake,
    fault: Fault,
    keeps_alive: bool,
) -> After {
    answer_with(client, scratch, (fault, frame(intake, keeps_alive))).await
}

/// Answers with a fault what was tried, or was to be.
pub(super) async fn answer_tried_fault(
    client: &Client<'_>,
    scratch: &mut Scratch,
    intake: &Intake,
    (fault, tried): (Fault, Tried),
    keeps_alive: bool,
) -> After {
    let frame = Frame { tried: Some(tried), ..frame(intake, keeps_alive) };
    answer_with(client, scratch, (fault, frame)).await
}

async fn answer_with(
    client: &Client<'_>,
    scratch: &mut Scratch,
    (fault, frame): (Fault, Frame<'_>),
) -> After {
    scratch.out.clear();
    scratch.account.faulted(fault);
    reply::write_fault(fault, &frame, &mut scratch.out);
    finish(client, scratch, after(frame.keeps_alive)).await
}

/// Whether the client may send another request on this connection.
pub(super) fn may_continue(worker: &Worker, intake: &Intake) -> bool {
    intake.keeps_alive && !worker.is_draining()
}

/// What an answer of ours to this request depends on.
pub(super) fn frame(intake: &Intake, keeps_alive: bool) -> Frame<'_> {
    let (call_id, is_head, now) = (&intake.call_id, intake.is_head, clock::unix_now());
    Frame { call_id, keeps_alive, is_head, now, tried: None }
}

/// What becomes of a connection whose answer is whole.
pub(super) fn after(keeps_alive: bool) -> After {
    if keeps_alive { After::Next } else { After::Close }
}

/// Sends what was written.
pub(super) async fn finish(client: &Client<'_>, scratch: &mut Scratch, then: After) -> After {
    match client.send(&mut scratch.out, 0, CLIENT_STALL).await {
        Ok(()) => then,
        Err(_gone) => After::Gone,
    }
}
