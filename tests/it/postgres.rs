//! A PostgreSQL of our own: Debian's binaries, a folder and a port of its own, stopped and started at will.
//!
//! PostgreSQL refuses to run as root; then it runs as `nobody`, in a folder that nobody can reach. It is
//! told not to sync: what is tested is our part of durability, by ending processes and not the power.

use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sqlx::{Connection as _, PgConnection};

use crate::running::{free_port, path, scratch, within};

/// Debian's `nobody` and `nogroup`.
const NOBODY: u32 = 65_534;
const USER: &str = "outcrop";
/// As it must stand in a URL; what it means is `hush@home`.
pub const PASSWORD_IN_URL: &str = "hush%40home";
pub const PASSWORD: &str = "hush@home";

/// A server. Dropping it ends it and removes its folder.
pub struct Postgres {
    binaries: PathBuf,
    folder: PathBuf,
    port: u16,
    server: Option<Child>,
}

impl Postgres {
    /// A new server without databases of ours; `None` if PostgreSQL is not installed.
    pub fn start() -> Option<Self> {
        let binaries = binaries()?;
        let port = free_port();
        // Below target/ a folder of root's may be in nobody's way.
        let name = format!("outcrop-postgres-{}-{port}", std::process::id());
        let folder = if is_root() { std::env::temp_dir().join(name) } else { scratch(&name) };
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder for PostgreSQL");
        let password = folder.join("password");
        std::fs::write(&password, PASSWORD).expect("a writable folder");
        for path in [&folder, &password] {
            if is_root() {
                chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
            }
        }
        let made = unprivileged(&binaries.join("initdb"), &folder)
            .args(["--username", USER, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"])
            .args(["--no-sync", "--no-instructions", "--pgdata", "data", "--pwfile", "password"])
            .stdout(Stdio::null())
            .output()
            .expect("initdb starts");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut postgres = Self { binaries, folder, port, server: None };
        postgres.start_again();
        Some(postgres)
    }

    /// Where `database` is, as LiteLLM has it.
    pub fn url(&self, database: &str) -> String {
        let port = self.port;
        format!("postgresql://{USER}:{PASSWORD_IN_URL}@127.0.0.1:{port}/{database}")
    }

    /// Makes a database of this name.
    pub fn create(&self, database: &str) {
        let sql = format!("CREATE DATABASE \"{database}\"");
        self.block_on(async {
            let mut connection =
                PgConnection::connect(&self.url("postgres")).await.expect("a server");
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.expect("made");
        });
    }

    /// Tells all clients to go, and ends.
    pub fn stop(&mut self) {
        self.end("INT");
    }

    /// As a crash of the machine would: no word to clients, no shutdown checkpoint.
    pub fn crash(&mut self) {
        self.end("QUIT");
    }

    fn end(&mut self, signal: &str) {
        let Some(mut server) = self.server.take() else { return };
        let pid = server.id().to_string();
        let _ = Command::new("kill").args(["-s", signal, &pid]).status();
        if !within(|| server.try_wait().is_ok_and(|status| status.is_some())) {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// On the same folder and port.
    pub fn start_again(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.join("log"));
        let log = log.expect("a writable folder");
        let server = unprivileged(&self.binaries.join("postgres"), &self.folder)
            .args(["-D", "data", "-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", "fsync=off", "-c", "full_page_writes=off"])
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("postgres starts");
        self.server = Some(server);
        let up = within(|| {
            self.block_on(async { PgConnection::connect(&self.url("postgres")).await.is_ok() })
        });
        let said = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert!(up, "PostgreSQL is not up:\n{said}");
    }

    /// What the server's process and all of its children have used, in seconds of CPU time.
    pub fn cpu_s(&self) -> f64 {
        let Some(server) = &self.server else { return 0.0 };
        let parent = server.id().to_string();
        let processes = std::fs::read_dir("/proc").expect("Linux").flatten();
        let stats = processes
            .filter_map(|process| std::fs::read_to_string(process.path().join("stat")).ok());
        stats
            .filter_map(|stat| {
                let (head, rest) = stat.rsplit_once(')')?;
                let fields: Vec<&str> = rest.split_whitespace().collect();
                let pid = head.split_whitespace().next()?;
                let ours = pid == parent || fields[1] == parent;
                // utime, stime, cutime, cstime, in hundredths; the children's of the parent alone.
                let upto = if pid == parent { 15 } else { 13 };
                let ticks = fields[11..upto].iter().filter_map(|field| field.parse::<f64>().ok());
                ours.then(|| ticks.sum::<f64>() / 100.0)
            })
            .sum()
    }

    fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(work)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Debian keeps each version's in a folder of its own; the newest.
fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let folders = versions.map(|version| version.path().join("bin"));
    folders.filter(|folder| folder.join("postgres").exists()).max()
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Its process id is that of `binary`: setpriv becomes what it starts.
fn unprivileged(binary: &Path, folder: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        let nobody = NOBODY.to_string();
        command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]).arg(binary);
        command
    } else {
        Command::new(binary)
    };
    command.current_dir(folder).env_clear().env("PATH", path()).env("LC_ALL", "C");
    command.stdin(Stdio::null());
    command
}
