//! HTTP for AWS's credential chain: one connection for each call, over hyper and the TLS roots that upstreams
//! are judged by.
//!
//! A call is rare (one in minutes) and small, so nothing is kept between two. Redirects are not followed.

use std::{fmt, io, sync::Arc, time::Duration};

use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    shared::IntoShared,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header::HOST};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::limits::{CREDENTIAL_ANSWER_BYTES_MAX, CREDENTIAL_CALL_MS_MAX};

/// Why a call has no answer; the chain judges which of them are worth another try.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The client that the chain is given.
#[derive(Clone)]
pub struct Http {
    tls: Arc<ClientConfig>,
    limits: Limits,
}

#[derive(Clone, Copy)]
struct Limits {
    connect: Duration,
    answer: Duration,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

impl Http {
    /// That trusts what `tls` trusts.
    #[must_use]
    pub fn new(tls: Arc<ClientConfig>) -> Self {
        let limit = Duration::from_millis(CREDENTIAL_CALL_MS_MAX);
        Self { tls, limits: Limits { connect: limit, answer: limit } }
    }

    async fn send(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = prepared(request).map_err(ConnectorError::user)?;
        let uri = request.uri().clone();
        let connected = timeout(self.limits.connect, self.connect(&uri)).await;
        let stream = connected
            .map_err(|elapsed| ConnectorError::timeout(elapsed.into()))?
            .map_err(ConnectorError::io)?;
        let answered = timeout(self.limits.answer, exchange(stream, request)).await;
        answered
            .map_err(|elapsed| ConnectorError::timeout(elapsed.into()))?
            .map_err(ConnectorError::io)
    }

    async fn connect(&self, uri: &Uri) -> Result<Stream, Failed> {
        let host = uri.host().ok_or("the address names no host")?;
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let tcp = TcpStream::connect((bare, port)).await?;
        tcp.set_nodelay(true)?;
        if !is_tls {
            return Ok(Box::new(tcp));
        }
        let name = ServerName::try_from(bare.to_owned())?;
        Ok(Box::new(TlsConnector::from(self.tls.clone()).connect(name, tcp).await?))
    }
}

/// A connection, encrypted or not.
type Stream = Box<dyn Duplex>;

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// With its whole content, and the host that its address names.
fn prepared(request: HttpRequest) -> Result<Request<Full<Bytes>>, Failed> {
    let mut request = request.try_into_http1x()?.map(|content: SdkBody| {
        Full::new(Bytes::copy_from_slice(content.bytes().unwrap_or_default()))
    });
    if !request.headers().contains_key(HOST) {
        let authority = request.uri().authority().ok_or("the address names no host")?;
        let host = HeaderValue::from_str(authority.as_str())?;
        request.headers_mut().insert(HOST, host);
    }
    Ok(request)
}

async fn exchange(
    stream: Stream,
    mut request: Request<Full<Bytes>>,
) -> Result<HttpResponse, Failed> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).parse()?;
    *request.uri_mut() = target;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await?;
    let answered = async {
        let (head, content) = sender.send_request(request).await?.into_parts();
        let content = Limited::new(content, CREDENTIAL_ANSWER_BYTES_MAX).collect().await?;
        let answer = http::Response::from_parts(head, SdkBody::from(content.to_bytes()));
        Ok::<_, Failed>(HttpResponse::try_from(answer)?)
    };
    tokio::pin!(answered, connection);
    tokio::select! {
        answer = &mut answered => return answer,
        ended = &mut connection => ended?,
    }
    // The connection has ended: what is there of the answer is all there is.
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended");
    timeout(Duration::ZERO, answered).await.map_err(|_elapsed| cut())?
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().send(request))
    }
}

impl HttpClient for Http {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let ours = self.limits;
        let limits = Limits {
            connect: settings.connect_timeout().unwrap_or(ours.connect).min(ours.connect),
            answer: settings.read_timeout().unwrap_or(ours.answer).min(ours.answer),
        };
        Self { limits, ..self.clone() }.into_shared()
    }
}
