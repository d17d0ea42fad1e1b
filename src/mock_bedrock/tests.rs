//! The stand-in over real sockets: signed requests by hyper's client over TLS, in process.

mod faults;

use super::*;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const CLAUDE: &str = "us.anthropic.claude-3-5-haiku-20241022-v1%3A0";
/// Bounds a test that fails; no test waits for it to succeed.
const WAIT: Duration = Duration::from_secs(10);

fn trusting(authority: &Authority) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = config
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// A request as an AWS SDK signs it, for this very moment.
fn signed(path: &str, content: &[u8], mock: &str, token: Option<&str>) -> Request<Full<Bytes>> {
    let options = Options::default();
    let token = token.map(str::to_owned);
    let identity =
        Credentials::new(options.access_key_id, options.secret_access_key, token, None, "test")
            .into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Double;
    let params =
        v4::SigningParams::builder().identity(&identity).region("us-east-1").name("bedrock");
    let params = params.time(clock::now()).settings(settings).build().unwrap().into();
    let mut request =
        Request::post(path).header("host", "localhost").header("content-type", "application/json");
    if !mock.is_empty() {
        request = request.header("x-amzn-bedrock-mock", mock);
    }
    let mut request = request.body(Full::from(content.to_vec())).unwrap();
    let url = format!("https://localhost{path}");
    let fields =
        request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let signable =
        SignableRequest::new("POST", &url, fields, SignableBody::Bytes(content)).unwrap();
    sign(signable, &params).unwrap().into_parts().0.apply_to_request_http1x(&mut request);
    *request.uri_mut() = path.parse().unwrap();
    request
}

struct Client(SendRequest<Full<Bytes>>);

impl Client {
    async fn connect(stand_in: &StandIn, config: Arc<ClientConfig>) -> Self {
        let stream = TcpStream::connect(stand_in.address()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(config).connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        drop(tokio::spawn(connection));
        Self(sender)
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        self.0.ready().await.unwrap();
        self.0.send_request(request).await.unwrap()
    }

    async fn post(&mut self, action: &str, mock: &str) -> Response<Incoming> {
        self.send(signed(&format!("/model/{CLAUDE}/{action}"), b"{}", mock, None)).await
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(WAIT, future).await.expect("a test is bounded") })
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8_lossy(&response.into_body().collect().await.unwrap().to_bytes()).into_owned()
}

fn started() -> (StandIn, Arc<ClientConfig>) {
    let stand_in = StandIn::start(Options::default()).unwrap();
    let config = trusting(stand_in.authority().unwrap());
    (stand_in, config)
}

#[test]
fn the_four_actions_answer_signed_requests() {
    let (stand_in, config) = started();
    block_on(async {
        let mut client = Client::connect(&stand_in, config).await;
        let response = client.post("invoke", "cache_read=5").await;
        let fields = response.headers().clone();
        let count = |name: &str| {
            fields[&format!("x-amzn-bedrock-{name}-token-count")].to_str().unwrap().to_owned()
        };
        assert_eq!(
            (count("input"), count("output"), count("cache-read-input")),
            ("1".into(), "8".into(), "5".into())
        );
        assert_eq!(fields["x-amzn-requestid"].len(), 36);
        assert!(fields.contains_key("date") && fields["content-type"] == "application/json");
        assert!(text(response).await.contains(r#""usage":{"input_tokens":1,"#));
        let response = client.post("converse", "").await;
        assert!(!response.headers().contains_key("x-amzn-bedrock-input-token-count"));
        assert!(text(response).await.contains(r#""outputTokens":8"#));
        for (action, last) in
            [("invoke-with-response-stream", "event"), ("converse-stream", r#""totalTokens":9}}"#)]
        {
            let response = client.post(action, "").await;
            assert_eq!(response.headers()["content-type"], "application/vnd.amazon.eventstream");
            let inner = response.headers().contains_key("x-amzn-bedrock-content-type");
            assert_eq!(inner, action.starts_with("invoke"));
            assert!(text(response).await.contains(last));
        }
    });
    let record = stand_in.record();
    assert!(record.wait(WAIT, |record| record.finished() == 4));
    assert_eq!((record.requests(), record.connections(), record.frames_sent()), (4, 1, 13 + 12));
    for seen in record.seen() {
        assert_eq!(
            (seen.verdict, seen.answered, seen.status),
            (Verdict::Signed, Answered::Finished, 200)
        );
        assert_eq!(seen.model_id, "us.anthropic.claude-3-5-haiku-20241022-v1:0");
        assert_eq!((seen.anomalies, seen.content_length), (Vec::new(), 2));
    }
}

#[test]
fn errors_come_in_awss_shape() {
    let (stand_in, config) = started();
    block_on(async {
        let mut client = Client::connect(&stand_in, config).await;
        let mut check = async |request, status: u16, name: &str| {
            let response = client.send(request).await;
            assert_eq!(response.status(), status);
            let error_type = response.headers()["x-amzn-errortype"].to_str().unwrap().to_owned();
            assert_eq!(error_type.split_once(':').unwrap().0, name);
            assert!(text(response).await.contains("message"));
        };
        check(signed("/model/nobody.knows/invoke", b"", "", None), 400, "ValidationException")
            .await;
        check(signed("/nowhere", b"", "", None), 404, "UnknownOperationException").await;
        let embed = "/model/amazon.titan-embed-text-v2%3A0/converse";
        check(signed(embed, b"", "", None), 400, "ValidationException").await;
        let mut request = signed("/model/a/invoke", b"", "", None);
        request.headers_mut().remove("authorization");
        check(request, 403, "MissingAuthenticationTokenException").await;
        let mut request = signed("/model/a/invoke", b"one", "", None);
        *request.body_mut() = Full::from(&b"two"[..]);
        check(request, 403, "InvalidSignatureException").await;
        check(
            signed("/model/a/invoke", b"", "", Some("token")),
            403,
            "UnrecognizedClientException",
        )
        .await;
        check(signed("/model/a/invoke", b"", "no=such", None), 400, "ValidationException").await;
        let asked = signed(
            &format!("/model/{CLAUDE}/converse-stream"),
            b"",
            "status=424; retry_after=7",
            None,
        );
        check(asked, 424, "ModelErrorException").await;
    });
}

#[test]
fn a_gated_stream_sends_what_is_released() {
    let (stand_in, config) = started();
    block_on(async {
        let mut client = Client::connect(&stand_in, config).await;
        let mut content = client.post("converse-stream", "gate; frames=2").await.into_body();
        for frame in 1..=6 {
            assert_eq!(stand_in.record().frames_sent(), frame - 1);
            stand_in.release_frames(1);
            let data = content.frame().await.unwrap().unwrap().into_data().unwrap();
            let length = u32::from_be_bytes(data[..4].try_into().unwrap());
            assert_eq!(length as usize, data.len(), "each frame is a chunk");
        }
        assert!(content.frame().await.is_none());
    });
    assert!(stand_in.record().wait(WAIT, |record| record.finished() == 1));
}

#[test]
fn content_is_seen_whole_and_echoed() {
    let (stand_in, config) = started();
    block_on(async {
        let mut client = Client::connect(&stand_in, config).await;
        for length in [0, 1, 16_385, 1 << 20] {
            let content = vec![b'a'; length];
            let path = format!("/model/{CLAUDE}/invoke");
            let request =
                signed(&path, &content, "echo=sha256; answer_bytes=2000; framing=chunked", None);
            let response = client.send(request).await;
            assert_eq!(
                response.headers()["x-amzn-bedrock-input-token-count"],
                length.div_ceil(4).to_string()
            );
            assert!(!response.headers().contains_key("content-length"));
            let seen = stand_in.record().last().unwrap();
            let answer = text(response).await;
            assert_eq!((answer.len(), seen.content_length), (2000, length as u64));
            assert!(answer.contains(&seen.content_sha256));
        }
    });
}

#[test]
fn sessions_resume_and_threads_share_a_port() {
    let options = Options { threads: 2, ..Options::default() };
    let stand_in = StandIn::start(options).unwrap();
    let config = trusting(stand_in.authority().unwrap());
    block_on(async {
        for _ in 0..8 {
            let mut client = Client::connect(&stand_in, Arc::clone(&config)).await;
            text(client.post("invoke", "").await).await;
        }
    });
    assert!(stand_in.record().tls_resumed() >= 7, "{}", stand_in.record().tls_resumed());
}

#[test]
fn a_session_token_and_a_base_path_are_wanted() {
    let options = Options {
        session_token: Some("token".to_owned()),
        base_path: "/vpc".to_owned(),
        ..Options::default()
    };
    let stand_in = StandIn::start(options).unwrap();
    let config = trusting(stand_in.authority().unwrap());
    block_on(async {
        let mut client = Client::connect(&stand_in, config).await;
        let path = format!("/vpc/model/{CLAUDE}/invoke");
        assert_eq!(client.send(signed(&path, b"{}", "", Some("token"))).await.status(), 200);
        assert_eq!(client.send(signed(&path, b"{}", "", None)).await.status(), 403);
    });
}
