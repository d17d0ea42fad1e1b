//! Clients through TLS: every version and both protocols, certificates that change, and what is no TLS.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use outcrop::{
    control_plane::config::DriverChoice,
    mock_bedrock::{Options, StandIn},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};

use crate::http::request;
use crate::proxy::{BEARER, Deployment, INVOKE, STREAM, ca_file, config_file, under_both_drivers};
use crate::running::{Running, scratch, within};

under_both_drivers!(
    every_version_carries_what_plain_text_does,
    an_end_is_told_from_a_cut,
    a_client_may_send_byte_by_byte,
    what_is_no_tls_is_told_so_and_harms_nobody,
    clients_may_have_to_show_a_certificate,
    a_certificate_is_changed_by_sighup,
);

/// Who issues certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

/// A certificate and its key, in files.
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().expect("randomness");
        let certificate = params.self_signed(&key).expect("a certificate");
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Self { issuer: Issuer::new(params, key), der, pem }
    }

    fn issue(&self, name: &str, host: &str) -> Pair {
        let params = CertificateParams::new([host.to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("randomness");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let (to, key_to) = (scratch(&format!("{name}.pem")), scratch(&format!("{name}.key")));
        std::fs::write(&to, certificate.pem()).expect("a writable target/tmp");
        std::fs::write(&key_to, key.serialize_pem()).expect("a writable target/tmp");
        Pair { certificate: to, key: key_to }
    }
}

/// A proxy with a certificate.
struct Rig {
    running: Running,
    authority: Authority,
    pair: Pair,
    name: String,
    _stand_in: StandIn,
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

impl Rig {
    fn start(driver: DriverChoice, name: &str, general: &str) -> Self {
        let name = format!("{name}-{driver:?}");
        let authority = Authority::new();
        let pair = authority.issue(&name, "localhost");
        let stand_in = StandIn::start(Options::default()).expect("a stand-in");
        let config = config_file(driver, &[Deployment::to(stand_in.address())], general);
        let ca = ca_file(&stand_in).expect("it speaks TLS");
        let arguments = [
            ["--config", text(&config), "--host", "127.0.0.1"],
            ["--ssl_certfile_path", text(&pair.certificate), "--ssl_keyfile_path", text(&pair.key)],
        ];
        let is_up = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
        let environment = [("SSL_CERT_FILE", text(&ca))];
        let running = Running::start(&name, &arguments.concat(), &environment, is_up);
        Self { running, authority, pair, name, _stand_in: stand_in }
    }

    fn socket(&self) -> TcpStream {
        let socket = TcpStream::connect(("127.0.0.1", self.running.port)).expect("it listens");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        socket.set_nodelay(true).expect("a socket");
        socket
    }

    fn client(&self, version: &'static SupportedProtocolVersion) -> ClientConnection {
        connection(&[&self.authority], version, None).expect("a client")
    }

    fn connect(&self, version: &'static SupportedProtocolVersion) -> Tls {
        StreamOwned::new(self.client(version), self.socket())
    }
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn connection(
    trusted: &[&Authority],
    version: &'static SupportedProtocolVersion,
    shown: Option<&Pair>,
) -> Result<ClientConnection, rustls::Error> {
    let mut roots = RootCertStore::empty();
    trusted.iter().try_for_each(|it| roots.add(it.der.clone()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&[version])?.with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some(pair) => builder.with_client_auth_cert(
            vec![CertificateDer::from_pem_file(&pair.certificate).expect("a certificate")],
            PrivateKeyDer::from_pem_file(&pair.key).expect("a key"),
        )?,
    };
    ClientConnection::new(Arc::new(config), "localhost".try_into().expect("a name"))
}

/// One answer of a known length, off a connection that stays.
fn answer(stream: &mut impl io::Read) -> io::Result<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        text.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&text).to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
    let mut content = vec![0; length.and_then(|it| it.parse().ok()).unwrap_or(0)];
    stream.read_exact(&mut content)?;
    Ok(head + &String::from_utf8_lossy(&content))
}

fn ask(stream: &mut Tls, fields: &str, content: &[u8]) -> io::Result<String> {
    stream.write_all(&request(INVOKE, &format!("{BEARER}{fields}"), content))?;
    answer(stream)
}

fn every_version_carries_what_plain_text_does(driver: DriverChoice) {
    let rig = Rig::start(driver, "tls-versions", "");
    for version in [&TLS12, &TLS13] {
        let mut stream = rig.connect(version);
        let large = vec![b' '; 3 << 20];
        for content in [&b"{}"[..], &[b' '; 40_000], &large] {
            let told = ask(&mut stream, "X-Amzn-Bedrock-Mock: echo=sha256\r\n", content);
            assert!(told.is_ok(), "{version:?}: {told:?}");
            let told = told.unwrap_or_default();
            assert!(told.starts_with("http/1.1 200"), "{told}");
            assert!(told.contains(&crate::http::sha256(content)), "{told}");
        }
        // An answer of many records, and then one more on the same connection.
        let told = ask(&mut stream, "X-Amzn-Bedrock-Mock: answer_bytes=500000\r\n", b"{}");
        assert!(told.is_ok_and(|told| told.len() > 500_000), "{version:?}");
        assert!(ask(&mut stream, "", b"{}").is_ok_and(|told| told.starts_with("http/1.1 200")));
    }
}

/// A close in order is announced in TLS's own words, a cut is not: without a length, that is all there is.
fn an_end_is_told_from_a_cut(driver: DriverChoice) {
    let rig = Rig::start(driver, "tls-ends", "");
    let old = STREAM.replace("HTTP/1.1", "HTTP/1.0");
    for (mock, is_whole) in [
        ("frames=3", true),
        ("frames=3; close=in_content", false),
        ("frames=3; bad_crc=2", false),
        ("frames=3; reset=after_frames:2", true), // which an exception frame of ours ends
    ] {
        let mut stream = rig.connect(&TLS13);
        let fields = format!("{BEARER}X-Amzn-Bedrock-Mock: {mock}\r\n");
        stream.write_all(&request(&old, &fields, b"{}")).expect("it is taken");
        let mut all = Vec::new();
        let ended = stream.read_to_end(&mut all);
        assert!(all.starts_with(b"HTTP/1.1 200"), "{mock}: {}", String::from_utf8_lossy(&all));
        assert_eq!(ended.is_ok(), is_whole, "{mock}: {ended:?}");
    }
}

fn a_client_may_send_byte_by_byte(driver: DriverChoice) {
    let rig = Rig::start(driver, "tls-bytes", "");
    for version in [&TLS12, &TLS13] {
        let (mut client, mut socket) = (rig.client(version), rig.socket());
        client.writer().write_all(&request(INVOKE, BEARER, b"{}")).expect("memory");
        let mut told = Vec::new();
        while !told.windows(4).any(|it| it == b"\r\n\r\n") {
            let mut records = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut records).expect("memory");
            }
            for byte in records {
                socket.write_all(&[byte]).expect("it is taken");
            }
            assert!(client.read_tls(&mut socket).expect("an answer") > 0, "it closed: {version:?}");
            client.process_new_packets().expect("records");
            let _until_there_is_more = client.reader().read_to_end(&mut told);
        }
        assert!(told.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&told));
    }
}

fn what_is_no_tls_is_told_so_and_harms_nobody(driver: DriverChoice) {
    let rig = Rig::start(driver, "tls-none", "");
    let mut plain = rig.socket();
    plain.write_all(&request(INVOKE, BEARER, b"{}")).expect("it is taken");
    let told = answer(&mut plain).expect("an answer in plain text");
    assert!(told.starts_with("http/1.1 400") && told.contains("use https://"), "{told}");
    let hello = |client: &mut ClientConnection| {
        let mut records = Vec::new();
        client.write_tls(&mut records).expect("memory");
        records
    };
    // Those who say nothing, leave in its midst, or say what nobody understands.
    let _silent = rig.socket();
    for end in [1, 5, 40, 200] {
        let records = hello(&mut rig.client(&TLS13));
        rig.socket().write_all(&records[..end.min(records.len())]).expect("it is taken");
    }
    for bytes in [&[22, 3, 1, 255, 255][..], &[22, 3, 1, 0, 4, 9, 9, 9, 9], &[0; 100], &[128; 3]] {
        let mut socket = rig.socket();
        socket.write_all(bytes).expect("it is taken");
        let mut rest = Vec::new();
        let _closed_or_reset = socket.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP"), "{bytes:?}");
    }
    assert!(
        ask(&mut rig.connect(&TLS13), "", b"{}").is_ok_and(|it| it.starts_with("http/1.1 200"))
    );
}

fn clients_may_have_to_show_a_certificate(driver: DriverChoice) {
    let (ours, others) = (Authority::new(), Authority::new());
    let ca = scratch(&format!("tls-client-ca-{driver:?}.pem"));
    std::fs::write(&ca, &ours.pem).expect("a writable target/tmp");
    let outcrop = format!("outcrop:\n  tls:\n    client_ca: {}\n", ca.display());
    let rig = Rig::start(driver, "tls-clients", &outcrop);
    let (right, wrong) = (
        ours.issue(&format!("tls-right-{driver:?}"), "client"),
        others.issue(&format!("tls-wrong-{driver:?}"), "client"),
    );
    for version in [&TLS12, &TLS13] {
        for (shown, is_let_in) in [(None, false), (Some(&wrong), false), (Some(&right), true)] {
            let client = connection(&[&rig.authority], version, shown).expect("a client");
            let told = ask(&mut StreamOwned::new(client, rig.socket()), "", b"{}");
            assert_eq!(told.is_ok(), is_let_in, "{version:?}: {told:?}");
        }
    }
}

fn a_certificate_is_changed_by_sighup(driver: DriverChoice) {
    let rig = Rig::start(driver, "tls-reload", "");
    let mut kept = rig.connect(&TLS13);
    assert!(ask(&mut kept, "", b"{}").is_ok());
    let said = |what: &str| rig.running.said().matches(what).count();
    // One that cannot be used changes nothing.
    let good = std::fs::read(&rig.pair.certificate).expect("it is there");
    std::fs::write(&rig.pair.certificate, "nothing of use").expect("writable");
    rig.running.hang_up();
    assert!(within(|| said("RELOAD REFUSED") == 1), "{}", rig.running.said());
    assert!(rig.running.said().contains(text(&rig.pair.certificate)), "{}", rig.running.said());
    assert!(ask(&mut rig.connect(&TLS13), "", b"{}").is_ok());
    std::fs::write(&rig.pair.certificate, good).expect("writable");
    // Another authority's takes its place.
    let next = Authority::new();
    let new = next.issue(&format!("{}-next", rig.name), "localhost");
    std::fs::rename(&new.certificate, &rig.pair.certificate).expect("writable");
    std::fs::rename(&new.key, &rig.pair.key).expect("writable");
    rig.running.hang_up();
    let shows = |authority: &Authority| {
        let client = connection(&[authority], &TLS13, None).expect("a client");
        ask(&mut StreamOwned::new(client, rig.socket()), "", b"{}").is_ok()
    };
    assert!(within(|| shows(&next)), "{}", rig.running.said());
    assert!(!shows(&rig.authority));
    assert!(ask(&mut kept, "", b"{}").is_ok(), "what was there goes on");
}

#[test]
fn files_that_cannot_be_used_are_named_and_nothing_starts() {
    let (one, other) = (Authority::new(), Authority::new());
    let (one, other) = (one.issue("tls-one", "localhost"), other.issue("tls-other", "localhost"));
    let config =
        config_file(DriverChoice::Auto, &[Deployment::plain(([127, 0, 0, 1], 9).into())], "");
    let missing = scratch("tls-missing.pem");
    for (certificate, key, named) in [
        (&one.certificate, None, "--ssl_keyfile_path"),
        (&missing, Some(&one.key), text(&missing)),
        (&one.certificate, Some(&missing), text(&missing)),
        (&one.certificate, Some(&other.key), "do not belong together"),
        (&one.key, Some(&one.key), "holds no certificate"),
    ] {
        let mut arguments =
            vec!["--config", text(&config), "--ssl_certfile_path", text(certificate)];
        arguments.extend(key.iter().flat_map(|key| ["--ssl_keyfile_path", text(key)]));
        let mut running = Running::spawn("tls-files", &[], &arguments, &[]);
        let status = running.wait().expect("it ends");
        assert_eq!(status.code(), Some(2), "{}", running.said());
        assert!(running.said().contains(named), "{named}: {}", running.said());
    }
}
