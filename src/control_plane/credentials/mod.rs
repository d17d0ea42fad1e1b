//! Temporary credentials: asked for, put where the cores find them, and renewed before they end.
//!
//! ```text
//!   ask ─┬─ given ──▶ issue; again when most of its life is over, or a core says that AWS calls it expired
//!        └─ not ────▶ what there was stays in force until it ends; again soon, less and less often
//! ```
//!
//! Each source is asked by a task of its own, so that one that hangs keeps nobody else waiting.

mod ask;
mod http;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use rustls::ClientConfig;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use self::ask::Asker;
pub use self::http::Http;
use super::{admin, prepare::Renewable};
use crate::{
    boundary::notice::{Event, Notices},
    limits::{
        CREDENTIAL_AGAIN_MS_MAX, CREDENTIAL_AGAIN_MS_MIN, CREDENTIAL_ASK_MS_MAX,
        CREDENTIAL_LOOK_MS, CREDENTIAL_STATIC_MS, RENEWAL_LEAD_MS_MAX,
    },
    net::clock,
};

/// Waits until each source was asked once.
pub struct First {
    asked: Receiver<()>,
    count: usize,
}

impl First {
    /// But no longer than `limit`. Not for an asynchronous thread.
    pub fn wait(self, limit: Duration) {
        let until = clock::now() + limit;
        for _ in 0..self.count {
            if self.asked.recv_timeout(until.saturating_duration_since(clock::now())).is_err() {
                return;
            }
        }
    }
}

/// All sources, and what is told of them.
#[derive(Clone)]
pub struct Credentials {
    renewable: Arc<[Renewable]>,
    http: Http,
    notices: Notices,
    /// Told by each source when it was asked once.
    first: Sender<()>,
    /// The page that says who has none.
    ready: Arc<ArcSwap<Bytes>>,
}

impl Credentials {
    /// Of these sources, asked over `tls`; and who waits for their first answers.
    #[must_use]
    pub fn new(
        renewable: &[Renewable],
        tls: Arc<ClientConfig>,
        notices: Notices,
        ready: Arc<ArcSwap<Bytes>>,
    ) -> (Self, First) {
        let (first, asked) = channel();
        let count = renewable.len();
        let (renewable, http) = (renewable.into(), Http::new(tls));
        (Self { renewable, http, notices, first, ready }, First { asked, count })
    }

    /// Keeps all of them in force, for ever.
    pub async fn keep(self) {
        self.tell();
        let mut tasks = JoinSet::new();
        for renewable in self.renewable.iter() {
            tasks.spawn(self.clone().keep_one(renewable.clone()));
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn keep_one(self, renewable: Renewable) {
        let Renewable { source, cell, users } = &renewable;
        let asker = Asker::new(source, &self.http).await;
        let (mut expires, mut fails, mut was_asked) = (None, 0_u32, false);
        loop {
            let limit = Duration::from_millis(CREDENTIAL_ASK_MS_MAX);
            let given = timeout(limit, asker.ask()).await;
            let wait = match given.unwrap_or_else(|_elapsed| Err("no answer in time".to_owned())) {
                Ok(given) => {
                    cell.issue(given.credential);
                    (expires, fails) = (given.expires, 0);
                    renew_after(expires.map(left), fastrand::f64())
                }
                Err(why) => {
                    let what = format!("credential of {} ({source}): {why}", users.join(", "));
                    self.notices.tell(None, Event::Credential(what));
                    fails = fails.saturating_add(1);
                    again_after(fails, fastrand::f64())
                }
            };
            self.tell();
            if !std::mem::replace(&mut was_asked, true) {
                let _ = self.first.send(()); // or nobody waits any more
            }
            let until = clock::now() + wait;
            while clock::now() < until && !cell.take_wanted() {
                if expires.is_some_and(|at| left(at).is_zero()) {
                    expires = None;
                    cell.withdraw();
                    self.tell();
                }
                sleep(Duration::from_millis(CREDENTIAL_LOOK_MS)).await;
            }
        }
    }

    /// Readiness says who has none.
    fn tell(&self) {
        let without = self.renewable.iter().filter(|it| !it.cell.is_filled());
        let without: Vec<&str> =
            without.flat_map(|it| it.users.iter().map(String::as_str)).collect();
        self.ready.store(Arc::new(admin::ready_page(&without)));
    }
}

/// Until then.
fn left(at: SystemTime) -> Duration {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(clock::unix_now().0);
    at.duration_since(now).unwrap_or_default()
}

/// When to ask for the next, of one that lives for so long: with time left to fail in, and not when everybody
/// else's ends. `random` is from 0 to 1.
fn renew_after(life: Option<Duration>, random: f64) -> Duration {
    let Some(life) = life else { return Duration::from_millis(CREDENTIAL_STATIC_MS) };
    let lead = (life / 4).min(Duration::from_millis(RENEWAL_LEAD_MS_MAX));
    (life - lead - lead.mul_f64(random)).max(Duration::from_millis(CREDENTIAL_AGAIN_MS_MIN))
}

/// When to ask again after so many failures in a row.
fn again_after(fails: u32, random: f64) -> Duration {
    let doubled = CREDENTIAL_AGAIN_MS_MIN.saturating_mul(1 << fails.saturating_sub(1).min(10));
    Duration::from_millis(doubled.min(CREDENTIAL_AGAIN_MS_MAX)).mul_f64(1.0 - random / 2.0)
}
