//! `kill -9` under full load, again and again on the same books: nothing is lost, nothing counts twice.
//!
//! What reached AWS is known from the stand-in, what came back from the clients, and neither from the proxy.
//! The identity that is checked by name, not by number, after each death: **rows = requests that reached
//! the stand-in**, and besides them only those whose bytes died in the kernel with the process, which are marked
//! `interrupted` (or `client_gone`, if it was the client that died). Of the former, every answer that the
//! stand-in finished is one row, and each row that is not such an answer says why: interrupted, corrupt,
//! unanswered, or left by its client. See [`books`] for what a row must say of tokens and cost.

mod books;
mod disk;
mod load;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use outcrop::{
    control_plane::config::DriverChoice,
    mock_bedrock::{Options, StandIn},
};

use self::{
    books::{History, PRICES_IN_CONFIG, Tables, Tally},
    load::Load,
};
use crate::{
    http::{Answer, Client},
    postgres::Postgres,
    proxy::{
        BEARER, Deployment, ONE_ATTEMPT, ca_file, config_file, kernel_grants_io_uring,
        under_both_drivers,
    },
    running::{Running, answers_ready, within},
};

under_both_drivers!(sigterm_under_load_loses_nothing);

/// How long the stand-in may take to get what we wait for.
const STAND_IN_WAIT: Duration = Duration::from_secs(30);
/// Requests between two things that happen.
const REQUESTS: std::ops::Range<u64> = 200..800;

/// A proxy's configuration and data, a stand-in, and what is known of all requests.
struct Rig {
    stand_in: StandIn,
    ca: PathBuf,
    /// The same but for the driver, and so but for nothing that the books could hold.
    configs: Vec<PathBuf>,
    data_dir: PathBuf,
    tables: Tables,
    history: History,
    random: fastrand::Rng,
    /// Processes so far: they take turns at the configurations.
    runs: u32,
    cores: &'static str,
}

impl Rig {
    /// Of SQLite, or of the database at `url`; with further lines of the section `outcrop`.
    fn new(test: &str, url: Option<String>, outcrop: &str) -> Self {
        let options = Options { log_max: 1 << 20, ..Options::default() };
        let stand_in = StandIn::start(options).expect("a stand-in");
        let mut deployment = Deployment::to(stand_in.address());
        for (key, price) in PRICES_IN_CONFIG {
            deployment = deployment.param(key, price);
        }
        let url_line = url.as_ref().map(|url| format!("  database_url: \"{url}\"\n"));
        let general = url_line.unwrap_or_default() + ONE_ATTEMPT;
        let epoll = config_file(DriverChoice::Epoll, &[deployment], &general);
        let text = std::fs::read_to_string(&epoll).expect("just written") + outcrop;
        std::fs::write(&epoll, &text).expect("a file of ours");
        let data_dir = epoll.with_extension("data");
        let mut configs = vec![epoll];
        if kernel_grants_io_uring(test) {
            let path = configs[0].with_extension("io_uring.yaml");
            let text = text.replace("driver: epoll", "driver: io_uring");
            std::fs::write(&path, text).expect("a writable target/tmp");
            configs.push(path);
        }
        let file = || Tables::Sqlite(format!("sqlite://{}/outcrop.db", data_dir.display()));
        let tables = url.map_or_else(file, Tables::Postgres);
        let seed = fastrand::u64(..);
        // libtest shows it if the test fails.
        #[expect(clippy::print_stderr, reason = "what a failed test says")]
        {
            eprintln!("{test}: seed {seed}, {}", data_dir.display());
        }
        Self {
            ca: ca_file(&stand_in).expect("it speaks TLS"),
            stand_in,
            configs,
            data_dir,
            tables,
            history: History::default(),
            random: fastrand::Rng::with_seed(seed),
            runs: 0,
            cores: "2",
        }
    }

    /// By turns under one driver and the other.
    fn spawn(&mut self, wrapper: &[&str]) -> Running {
        self.runs += 1;
        let config = &self.configs[self.runs as usize % self.configs.len()];
        let [config, ca] = [config, &self.ca].map(|path| path.to_str().expect("a UTF-8 path"));
        let arguments = ["--config", config, "--host", "127.0.0.1", "--num_workers", self.cores];
        Running::spawn("kill", wrapper, &arguments, &[("SSL_CERT_FILE", ca)])
    }

    fn start(&mut self) -> Running {
        self.start_by(&[])
    }

    fn start_by(&mut self, wrapper: &[&str]) -> Running {
        let mut running = self.spawn(wrapper);
        let port = running.port;
        let up = within(|| running.exited().is_some() || answers_ready(port));
        assert!(up && running.exited().is_none(), "it is not up:\n{}", running.said());
        running
    }

    fn load(&mut self, running: &Running) -> Load {
        let address = ([127, 0, 0, 1], running.port).into();
        Load::start(address, self.runs, self.random.u64(..1 << 60))
    }

    /// Waits until so many requests, or a few more, have reached the stand-in. This is how a random moment
    /// under full load is found, on a machine of any speed.
    fn let_through(&mut self) {
        let record = self.stand_in.record();
        let until = record.requests() + self.random.u64(REQUESTS);
        let came = record.wait(STAND_IN_WAIT, |record| record.requests() >= until);
        assert!(came, "the load stands still at {} of {until} requests", record.requests());
    }

    /// The proxy is no more: takes down what clients and stand-in know.
    fn take_down(&mut self, load: Load) {
        self.history.add_asked(load.end());
        let record = self.stand_in.record();
        assert!(record.wait(STAND_IN_WAIT, |record| record.connections_open() == 0));
        self.history.add_seen(record);
    }

    /// Load, and death.
    fn die_under_load(&mut self) {
        self.die_after(|| {});
    }

    /// Load, in the midst of which something happens, and death.
    fn die_after(&mut self, happens: impl FnOnce()) {
        let running = self.start();
        let load = self.load(&running);
        self.let_through();
        happens();
        self.let_through();
        running.kill();
        self.take_down(load);
    }

    /// Death while it starts: while it takes up what was left, or gives it to the store.
    fn die_at_start(&mut self) {
        for _ in 0..3 {
            let running = self.spawn(&[]);
            let moment = Duration::from_millis(self.random.u64(0..150));
            std::thread::park_timeout(moment);
            running.kill();
        }
    }

    /// A start after which the store has everything, and all that it says is right.
    fn check(&mut self) -> Tally {
        let running = self.start();
        settle(&running);
        let tally = self.history.check(&self.tables);
        let report = get(&running, "/global/spend/report?group_by=model");
        assert_eq!(report.head.status, 200, "{report:?}");
        self.history.check_report(&self.tables, &report.json());
        assert_eq!(metric(&running, "outcrop_ledger_lost_total"), 0, "{}", running.said());
        running.kill();
        tally
    }

    /// The same, and then once more with the files that are there now, as if every process had died between
    /// the store's commit and its own note of it.
    fn check_twice(&mut self) -> Tally {
        let copy = |from: &Path, to: &Path| {
            std::fs::copy(from, to).expect("a writable folder");
        };
        let mut kept = Vec::new();
        for (kind, suffix) in [("core", "ring"), ("spill", "seg")] {
            for (file, number) in self.ledger_files(suffix).iter().zip(1000..) {
                // Under names that no process of ours takes by itself.
                let name = self.ledger().join(format!("{kind}-{number}.{suffix}"));
                let aside = name.with_extension("aside");
                copy(file, &aside);
                kept.push((aside, name));
            }
        }
        assert!(!kept.is_empty(), "a process has died, and left nothing");
        let tally = self.check();
        kept.iter().for_each(|(aside, name)| copy(aside, name));
        let again = self.check();
        assert_eq!(again, tally, "what was recorded was recorded again");
        assert!(kept.iter().all(|(_, name)| !name.exists()), "it was not read");
        tally
    }

    fn ledger(&self) -> PathBuf {
        self.data_dir.join("outcrop.ledger")
    }

    /// Files of the ledger that end so.
    fn ledger_files(&self, suffix: &str) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.ledger()).expect("the ledger").flatten();
        let is_such = |file: &PathBuf| file.extension().is_some_and(|end| end == suffix);
        files.map(|file| file.path()).filter(is_such).collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.data_dir);
            self.configs.iter().chain([&self.ca]).for_each(|file| remove(file));
        }
    }
}

fn remove(file: &Path) {
    let _ = std::fs::remove_file(file);
}

fn get(running: &Running, target: &str) -> Answer {
    let mut client = Client::connect(([127, 0, 0, 1], running.port).into());
    client.ask(format!("GET {target} HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n"))
}

fn metric(running: &Running, name: &str) -> u64 {
    let answer = get(running, "/metrics");
    let text = String::from_utf8(answer.content).expect("UTF-8");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| unreachable!("{name}: {text}"))
}

/// Waits until the store has all that rings and segments held.
fn settle(running: &Running) {
    let has_all = || {
        // Settled from here on, unless it went to a segment, or the store is away.
        get(running, "/spend/logs?limit=1").head.status == 200
            && metric(running, "outcrop_ledger_depth") == 0
            && metric(running, "outcrop_spill_bytes") == 0
    };
    assert!(within(has_all), "the books are not settled:\n{}", running.said());
}

/// The test would show nothing if deaths came at moments when nothing was under way.
fn check_tally(tally: Tally, deaths: usize) {
    let Tally { rows, finished, interrupted, corrupt, left, .. } = tally;
    let kinds = [rows - finished, interrupted, corrupt, left];
    assert!(kinds.iter().all(|count| *count > 0), "{tally:?}");
    assert!(interrupted >= deaths && finished >= deaths * 100, "{tally:?}");
}

#[test]
fn ten_deaths_before_sqlite() {
    let mut rig = Rig::new("ten_deaths_before_sqlite", None, "");
    let mut tally = Tally::default();
    for death in 0..10 {
        // Somebody else has the file's lock: nothing is recorded, not what was left before either.
        let hold = (death % 5 == 3).then(|| rig.tables.hold());
        rig.die_under_load();
        if death % 5 >= 3 {
            rig.die_at_start();
        }
        if let Some(hold) = hold {
            hold.release();
        }
        tally = if death % 5 == 2 { rig.check_twice() } else { rig.check() };
    }
    check_tally(tally, 10);
}

#[test]
fn ten_deaths_before_postgres() {
    let test = "ten_deaths_before_postgres";
    let Some(mut server) = Postgres::start() else {
        return crate::skip(test, "PostgreSQL is not in /usr/lib/postgresql");
    };
    server.create("killed");
    let url = server.url("killed");
    let mut rig = Rig::new(test, Some(url), "  on_client_disconnect: drain\n");

    // It is there, all the time.
    rig.die_under_load();
    rig.check();
    rig.die_under_load();
    rig.die_at_start();
    rig.check();

    // It is away before the load, and while the next process lives and dies: two leave segments.
    server.stop();
    for _ in 0..2 {
        spill_and_die(&mut rig);
    }
    server.start_again();
    rig.check_twice();

    // It goes during the load, by a crash; it is back before the proxy.
    rig.die_after(|| server.crash());
    server.start_again();
    rig.check();

    // It goes during the load in order, and comes back after the proxy, which dies a few times meanwhile.
    rig.die_after(|| server.stop());
    rig.die_at_start();
    let waiting = rig.start();
    server.start_again();
    settle(&waiting);
    waiting.kill();
    rig.check();

    // It goes and comes back, all under load: by a crash, and in order.
    rig.die_after(|| {
        server.crash();
        server.start_again();
    });
    rig.die_after(|| {
        server.stop();
        server.start_again();
    });
    rig.check();

    // Death in the midst of the transaction that replays a segment, and of the one after that.
    server.stop();
    spill_and_die(&mut rig);
    server.start_again();
    for _ in 0..2 {
        let mut hold = rig.tables.hold();
        let running = rig.start();
        assert!(within(|| hold.is_awaited()), "nothing is replayed:\n{}", running.said());
        running.kill();
        hold.release();
    }
    rig.die_at_start();
    rig.check();

    rig.die_under_load();
    let tally = rig.check();
    check_tally(tally, 10);
}

/// Load while the store is away, and death when there are segments and more besides.
fn spill_and_die(rig: &mut Rig) {
    let running = rig.start();
    let before = metric(&running, "outcrop_spill_bytes");
    let load = rig.load(&running);
    let grows = || metric(&running, "outcrop_spill_bytes") > before;
    assert!(within(grows), "nothing goes to a segment:\n{}", running.said());
    rig.let_through();
    running.kill();
    rig.take_down(load);
}

/// An end in order: all that was under way has ended, and the store has it.
fn sigterm_under_load_loses_nothing(driver: DriverChoice) {
    let mut rig = Rig::new("sigterm_under_load_loses_nothing", None, "");
    let is_this = |path: &PathBuf| {
        path.to_string_lossy().contains("io_uring") == (driver != DriverChoice::Epoll)
    };
    rig.configs.retain(is_this);
    let mut running = rig.start();
    let load = rig.load(&running);
    rig.let_through();
    running.signal();
    let status = running.wait();
    assert!(status.is_some_and(|status| status.success()), "{status:?}\n{}", running.said());
    rig.take_down(load);
    let files = [rig.ledger_files("seg"), rig.ledger_files("ring")].concat();
    let tally = if running.said().contains("the store takes no entries") {
        // A disk that does not answer for seconds: what the store did not take is there.
        rig.check()
    } else {
        assert!(files.is_empty(), "{files:?}:\n{}", running.said());
        rig.history.check(&rig.tables)
    };
    assert_eq!((tally.interrupted, tally.never_arrived), (0, 0), "{tally:?}");
    assert!(tally.finished > 100 && tally.left > 0, "{tally:?}");
}
