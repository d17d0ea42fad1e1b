//! One request for a page that the control plane makes: its content, the errand, the page.

use std::{pin::pin, time::Duration};

use crate::{
    bedrock::{fault::Fault, operation::AdminPage},
    boundary::{
        errand::{Awaited, Lost, Page, Question},
        ledger::entry::Outcome,
        snapshot::Snapshot,
    },
    data_plane::{
        connection::Client,
        exchange::{After, after, answer_fault, finish, frame, may_continue},
        intake::Intake,
        place::Place,
        reply,
        request::{Early, read_content},
        scratch::Scratch,
        worker::Worker,
    },
    limits::{ERRAND_LOOK_MS, ERRAND_MS_MAX, FLOW_BUFFER_BYTES},
    net::{clock, runtime::sleep},
};

/// Serves one such request, whose head is read.
pub async fn exchange(
    client: &Client<'_>,
    worker: &Worker,
    snapshot: &Snapshot,
    scratch: &mut Scratch,
    (intake, place): (&Intake, &Place<'_>),
    page: AdminPage,
) -> After {
    match read_content((client, place), worker, snapshot, intake, scratch).await {
        Ok(_hash) => {}
        Err(Early::Gone) => {
            scratch.account.ends(Outcome::Incomplete);
            return After::Gone;
        }
        Err(Early::Fault(fault)) => {
            return answer_fault(client, scratch, intake, fault, false).await;
        }
    }
    let keeps_alive = may_continue(worker, intake);
    let awaited = match worker.errands.send(question(page, scratch)) {
        Ok(awaited) => awaited,
        Err(Lost::Full | Lost::NoPage) => {
            let fault = Fault::PageUnavailable;
            return answer_fault(client, scratch, intake, fault, keeps_alive).await;
        }
    };
    match client.inbox.unless_gone(pin!(wait(awaited))).await {
        Err(_gone) => After::Gone,
        Ok(Err(fault)) => answer_fault(client, scratch, intake, fault, keeps_alive).await,
        Ok(Ok(page)) => send(client, scratch, intake, &page, keeps_alive).await,
    }
}

fn question(page: AdminPage, scratch: &mut Scratch) -> Question {
    let mut target = page.path().to_owned();
    let query = str::from_utf8(scratch.forwarded.query()).expect("of a URI, which is ASCII");
    if !query.is_empty() {
        target.push('?');
        target.push_str(query);
    }
    let content = std::mem::take(&mut scratch.content);
    Question { method: page.method(), target, content }
}

/// Looks again and again: nobody could wake this core.
async fn wait(mut awaited: Awaited) -> Result<Page, Fault> {
    let deadline = clock::now() + Duration::from_millis(ERRAND_MS_MAX);
    loop {
        match awaited.look() {
            Ok(Some(page)) => return Ok(page),
            Err(Lost::NoPage | Lost::Full) => return Err(Fault::PageUnavailable),
            Ok(None) if clock::now() >= deadline => return Err(Fault::PageTimeout),
            Ok(None) => sleep(Duration::from_millis(ERRAND_LOOK_MS)).await,
        }
    }
}

/// Sends head and content, a piece at a time: a page may be larger than any buffer that a core keeps.
async fn send(
    client: &Client<'_>,
    scratch: &mut Scratch,
    intake: &Intake,
    page: &Page,
    keeps_alive: bool,
) -> After {
    scratch.out.clear();
    scratch.account.paged(page.status);
    reply::write_admin_head(page, &frame(intake, keeps_alive), &mut scratch.out);
    if !intake.is_head {
        for piece in page.content.chunks(FLOW_BUFFER_BYTES) {
            scratch.out.extend_from_slice(piece);
            if finish(client, scratch, After::Next).await == After::Gone {
                return After::Gone;
            }
            scratch.out.clear();
        }
    }
    if scratch.out.is_empty() {
        return after(keeps_alive);
    }
    finish(client, scratch, after(keeps_alive)).await
}
