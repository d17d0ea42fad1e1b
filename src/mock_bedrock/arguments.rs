//! `outcrop mock-bedrock`: the stand-in as a process, one region per port.

use super::{Authority, Directives, Options, StandIn};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Flags of `outcrop mock-bedrock`.
#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// Address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub host: IpAddr,
    /// Port of the first region; each further region takes the next
    #[arg(long, default_value_t = 4443)]
    pub port: u16,
    /// Region to stand in for; may be given several times
    #[arg(long, default_value = "us-east-1")]
    pub region: Vec<String>,
    /// Where to write the CA's certificate (PEM) [default: outcrop-mock-ca.pem in the system's temporary directory]
    #[arg(long)]
    pub ca_file: Option<PathBuf>,
    /// Serve HTTP instead of HTTPS
    #[arg(long)]
    pub plain_http: bool,
    /// The access key id that is known
    #[arg(long, default_value = "AKIAOUTCROPSTANDIN00")]
    pub access_key_id: String,
    /// Its secret
    #[arg(long, default_value = "outcrop-stand-in-secret")]
    pub secret_access_key: String,
    /// Session token that must come with each request
    #[arg(long)]
    pub session_token: Option<String>,
    /// Bedrock API key accepted as bearer token; may be given several times
    #[arg(long)]
    pub api_key: Vec<String>,
    /// Threads per region
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// Text deltas per answer
    #[arg(long)]
    pub frames: Option<usize>,
    /// Milliseconds between the frames of a stream
    #[arg(long, default_value_t = 0)]
    pub frame_gap_ms: u64,
    /// How to treat requests that ask for nothing else, such as 'delay_ms=50; close=idle'
    #[arg(long, default_value = "")]
    pub directives: String,
    /// Let everyone in: verify no signature
    #[arg(long)]
    pub no_verify: bool,
}

impl Arguments {
    /// The CA's file: the one given, or one in the temporary directory.
    pub fn ca_file(&self) -> PathBuf {
        self.ca_file.clone().unwrap_or_else(|| std::env::temp_dir().join("outcrop-mock-ca.pem"))
    }

    /// The options of the `ordinal`-th region, without its name. Errors when the ports run out or a
    /// directive is unknown.
    fn options(&self, ordinal: usize, authority: Option<Arc<Authority>>) -> io::Result<Options> {
        let offset = u16::try_from(ordinal).ok().filter(|_| self.port > 0).unwrap_or(0);
        let port = self.port.checked_add(offset).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let mut answers = Directives {
            frames: self.frames,
            frame_gap_ms: self.frame_gap_ms,
            ..Directives::default()
        };
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        answers.amend(&self.directives).map_err(invalid)?;
        Ok(Options {
            listen: SocketAddr::new(self.host, port),
            tls: !self.plain_http,
            region: self.region[ordinal].clone(),
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
            session_token: self.session_token.clone(),
            api_keys: self.api_key.clone(),
            certificate: authority,
            names: vec![self.host.to_string()],
            verify_signatures: !self.no_verify,
            answers,
            threads: self.threads,
            log_max: 0,
            ..Options::default()
        })
    }
}

/// Serves until SIGINT or SIGTERM. Errors: a port is taken, the CA's file cannot be
/// written, a directive is unknown.
pub fn run(arguments: Arguments) -> io::Result<()> {
    let authority =
        if arguments.plain_http { None } else { Some(Arc::new(Authority::generate()?)) };
    let mut out = io::stdout().lock();
    if let Some(authority) = &authority {
        let path = arguments.ca_file();
        authority.write_pem(&path)?;
        writeln!(out, "CA certificate: {}", path.display())?;
    }
    let start = |ordinal| StandIn::start(arguments.options(ordinal, authority.clone())?);
    let stand_ins: Vec<StandIn> =
        (0..arguments.region.len()).map(start).collect::<io::Result<_>>()?;
    let scheme = if arguments.plain_http { "http" } else { "https" };
    for (region, stand_in) in arguments.region.iter().zip(&stand_ins) {
        writeln!(out, "Bedrock stand-in for {region}: {scheme}://{}", stand_in.address())?;
    }
    out.flush()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}
