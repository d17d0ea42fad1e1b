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
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::JoinSet,
    time::{sleep, timeout},
};

use self::ask::Asker;
pub use self::http::Http;
use super::{
    admin,
    prepare::{Lasting, Renewable},
};
use crate::{
    boundary::notice::{Event, Notices},
    limits::{
        CREDENTIAL_AGAIN_MS_MAX, CREDENTIAL_AGAIN_MS_MIN, CREDENTIAL_ASK_MS_MAX,
        CREDENTIAL_LOOK_MS, CREDENTIAL_STATIC_MS, CREDENTIAL_TELL_MS, RENEWAL_LEAD_MS_MAX,
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
pub struct Credentials {
    newcomers: UnboundedReceiver<Renewable>,
    desk: Desk,
}

/// What the tasks of all sources share.
#[derive(Clone)]
struct Desk {
    known: Arc<ArcSwap<Vec<Renewable>>>,
    http: Http,
    notices: Notices,
    /// Told by each source when it was asked once.
    first: Sender<()>,
    /// The page that says who has none.
    ready: Arc<ArcSwap<Bytes>>,
}

impl Credentials {
    /// Of the sources in `lasting`, asked over `tls`; and who waits for their first answers. Those that come with
    /// a new configuration are asked, too.
    #[must_use]
    pub fn new(lasting: &mut Lasting, tls: Arc<ClientConfig>, notices: Notices) -> (Self, First) {
        let (first, asked) = channel();
        let (sender, newcomers) = unbounded_channel();
        for renewable in &lasting.credentials.renewable {
            let _ = sender.send(renewable.clone()); // the receiver is here
        }
        let count = lasting.credentials.renewable.len();
        lasting.credentials.newcomers = Some(sender);
        let (known, http, ready) = (Arc::default(), Http::new(tls), lasting.ready.clone());
        let desk = Desk { known, http, notices, first, ready };
        (Self { newcomers, desk }, First { asked, count })
    }

    /// Keeps all of them in force, for ever.
    pub async fn keep(self) {
        let Self { mut newcomers, desk } = self;
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                Some(renewable) = newcomers.recv() => {
                    let mut known = (**desk.known.load()).clone();
                    known.push(renewable.clone());
                    desk.known.store(Arc::new(known));
                    tasks.spawn(desk.clone().keep_one(renewable));
                }
                () = sleep(Duration::from_millis(CREDENTIAL_TELL_MS)) => {}
            }
            desk.tell();
        }
    }
}

impl Desk {
    async fn keep_one(self, renewable: Renewable) {
        let Renewable { source, cell, users } = &renewable;
        let asker = Asker::new(source, &self.http).await;
        let (mut expires, mut fails, mut was_asked) = (None, 0_u32, false);
        loop {
            if users.load().is_empty() {
                // It is configured no more; it may be again.
                sleep(Duration::from_millis(CREDENTIAL_TELL_MS)).await;
                continue;
            }
            let limit = Duration::from_millis(CREDENTIAL_ASK_MS_MAX);
            let given = timeout(limit, asker.ask()).await;
            let wait = match given.unwrap_or_else(|_elapsed| Err("no answer in time".to_owned())) {
                Ok(given) => {
                    cell.issue(given.credential);
                    (expires, fails) = (given.expires, 0);
                    renew_after(expires.map(left), fastrand::f64())
                }
                Err(why) => {
                    let what =
                        format!("credential of {} ({source}): {why}", users.load().join(", "));
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
        let known = self.known.load();
        let without = known.iter().filter(|it| !it.cell.is_filled());
        let without: Vec<_> = without.map(|it| it.users.load_full()).collect();
        let without: Vec<&str> =
            without.iter().flat_map(|it| it.iter().map(String::as_str)).collect();
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
