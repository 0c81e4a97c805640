//! One HTTP exchange on a thread of its own, so that whoever waits for it can stop waiting at once.

use super::proxy::Proxies;
use std::io::Read as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;
use ureq::http::{Response, StatusCode, Uri, uri::Scheme};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 10;
/// Bytes of one piece of the body.
const PIECE: usize = 64 << 10;
/// Pieces that wait for the disk.
const PIECES: usize = 8;

/// Why an exchange failed; the text goes on after "could not be downloaded: ".
#[derive(Debug)]
pub(super) enum Trouble {
    /// A person stopped it.
    Cancelled,
    /// Likely over when tried again, perhaps not before this time.
    Passing(String, Option<Duration>),
    /// The same when tried again.
    Final(String),
    /// The folder or the disk, not the network; a whole sentence.
    Disk(String),
}

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a name to be resolved, and for a connection with its certificates.
    pub connect: Duration,
    /// For an answer to begin, and for the next byte after one.
    pub stall: Duration,
}

/// The head of an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub status: u16,
    pub length: Option<u64>,
    pub content_type: String,
    pub content_range: Option<String>,
    pub etag: Option<String>,
    pub modified: Option<String>,
    pub retry_after: Option<Duration>,
}

impl Reply {
    fn new(response: &Response<Body>) -> Self {
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self {
            status: response.status().as_u16(),
            length: text("content-length").and_then(|length| length.trim().parse().ok()),
            content_type: text("content-type").unwrap_or_default().to_ascii_lowercase(),
            content_range: text("content-range"),
            etag: text("etag"),
            modified: text("last-modified"),
            retry_after: text("retry-after").and_then(|secs| secs.trim().parse().ok()).map(Duration::from_secs),
        }
    }
}

/// What comes of an exchange, in this order: a reply, pieces of the body, the end.
pub(super) enum Piece {
    Reply(Reply),
    Bytes(Vec<u8>),
    End,
}

/// An exchange that runs. Dropping it closes its connection.
pub(super) struct Exchange {
    agent: Agent,
    pieces: Receiver<Result<Piece, Trouble>>,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.agent.clone().shutdown();
    }
}

impl Exchange {
    /// Asks for `url` with these headers.
    pub(super) fn start(
        url: &str,
        headers: Vec<(&'static str, String)>,
        proxies: &Proxies,
        patience: Patience,
        roots: Roots,
    ) -> Result<Self, Trouble> {
        let agent = agent(patience, roots);
        let (sender, pieces) = sync_channel(PIECES);
        let work = Conversation { agent: agent.clone(), headers, proxies: proxies.clone() };
        let url = url.to_owned();
        let body = move || {
            if let Err(trouble) = work.hold(&url, &sender) {
                sender.send(Err(trouble)).ok();
            }
        };
        let thread = std::thread::Builder::new().name("frostline-download".to_owned());
        thread.spawn(body).map_err(|error| Trouble::Final(format!("no thread can be started ({error})")))?;
        Ok(Self { agent, pieces })
    }

    /// The next piece, if one comes within `wait`.
    pub(super) fn next(&self, wait: Duration) -> Result<Option<Piece>, Trouble> {
        match self.pieces.recv_timeout(wait) {
            Ok(piece) => piece.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Trouble::Passing("the connection ended without an answer".to_owned(), None))
            }
        }
    }
}

/// Whose root certificates are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Roots {
    /// The system's: a company's own are among them.
    Platform,
    /// Mozilla's, for a system that has none.
    Mozilla,
}

/// What an exchange fails with on a system without root certificates.
pub(super) const NO_ROOTS: &str = "the system has no root certificates";

fn agent(patience: Patience, roots: Roots) -> Agent {
    let roots = match roots {
        Roots::Platform => RootCerts::PlatformVerifier,
        Roots::Mozilla => RootCerts::WebPki,
    };
    let config = Agent::config_builder()
        .user_agent(concat!("frostline/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .http_status_as_error(false)
        // Followed here: from https only to https, and each hop past its own proxy.
        .max_redirects(0)
        .proxy(None)
        .timeout_resolve(Some(patience.connect))
        .timeout_connect(Some(patience.connect))
        .timeout_recv_response(Some(patience.stall))
        .timeout_per_read(Some(patience.stall))
        .timeout_per_write(Some(patience.stall));
    config.build().new_agent()
}

struct Conversation {
    agent: Agent,
    headers: Vec<(&'static str, String)>,
    proxies: Proxies,
}

impl Conversation {
    fn hold(&self, url: &str, out: &SyncSender<Result<Piece, Trouble>>) -> Result<(), Trouble> {
        let bad = |url: &str| Trouble::Final(format!("{url} is no address"));
        let mut uri: Uri = url.parse().map_err(|_| bad(url))?;
        let mut response = self.ask(&uri)?;
        let mut hops = 0;
        while let Some(location) = redirect(&response) {
            hops += 1;
            if hops > MAX_REDIRECTS {
                return Err(Trouble::Final(format!("it is redirected more than {MAX_REDIRECTS} times")));
            }
            let next = join(&uri, &location).ok_or_else(|| bad(&location))?;
            if uri.scheme() == Some(&Scheme::HTTPS) && next.scheme() != Some(&Scheme::HTTPS) {
                return Err(Trouble::Final(format!("it is redirected to {next}, which is not encrypted")));
            }
            uri = next;
            response = self.ask(&uri)?;
        }
        let told = |piece| out.send(Ok(piece)).map_err(|_| Trouble::Cancelled);
        told(Piece::Reply(Reply::new(&response)))?;
        let mut body = response.into_body().into_reader();
        loop {
            let mut bytes = vec![0; PIECE];
            match body.read(&mut bytes) {
                Ok(0) => return told(Piece::End),
                Ok(count) => {
                    bytes.truncate(count);
                    told(Piece::Bytes(bytes))?;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(trouble(ureq::Error::from(error), &uri, None)),
            }
        }
    }

    fn ask(&self, uri: &Uri) -> Result<Response<Body>, Trouble> {
        let proxy = self.proxies.proxy_for(uri).map_err(Trouble::Final)?;
        let name = proxy.as_ref().map(|proxy| format!("{}:{}", proxy.host(), proxy.port()));
        let request =
            self.headers.iter().fold(self.agent.get(uri), |request, (name, value)| request.header(*name, value));
        let sent = request.config().proxy(proxy).build().call();
        sent.map_err(|error| trouble(error, uri, name.as_deref()))
    }
}

/// Where an answer says that the file is.
fn redirect(response: &Response<Body>) -> Option<String> {
    let moved = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    let location = response.headers().get("location")?.to_str().ok()?;
    moved.contains(&response.status()).then(|| location.to_owned())
}

/// A `Location` as an address of its own (RFC 3986, without `..` in paths).
fn join(base: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next().unwrap_or_default().trim();
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let whole = if location.starts_with("http://") || location.starts_with("https://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    whole.parse().ok().filter(|uri: &Uri| uri.authority().is_some())
}

/// An error in words, and whether it is worth another try.
fn trouble(error: ureq::Error, uri: &Uri, proxy: Option<&str>) -> Trouble {
    let host = uri.host().unwrap_or_default();
    let peer = proxy.map_or_else(|| host.to_owned(), |proxy| format!("the proxy {proxy}"));
    let passing = |what: String| Trouble::Passing(what, None);
    match error {
        ureq::Error::HostNotFound => Trouble::Final(format!("the name of {peer} cannot be resolved")),
        ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => {
            passing(format!("{peer} cannot be reached in time"))
        }
        ureq::Error::Timeout(_) => passing(format!("{host} stopped sending")),
        ureq::Error::ConnectProxyFailed(why) => Trouble::Final(format!("{peer} refuses to connect to {host} ({why})")),
        ureq::Error::Io(error) => io_trouble(&error, &peer),
        ureq::Error::Rustls(error) => {
            let text = error.to_string();
            if text.contains("No CA certificates") {
                return Trouble::Final(NO_ROOTS.to_owned());
            }
            Trouble::Final(untrusted(host, &text))
        }
        ureq::Error::Protocol(error) => passing(format!("{host} does not answer as HTTP ({error})")),
        ureq::Error::ConnectionFailed => passing(format!("{peer} cannot be reached")),
        other => Trouble::Final(other.to_string()),
    }
}

fn untrusted(peer: &str, why: &str) -> String {
    if why.contains("UnknownIssuer") {
        return format!(
            "nobody whom this system trusts vouches for {peer} (a company's proxy needs its root certificate here)"
        );
    }
    format!("{peer} cannot prove who it is ({})", why.trim_end_matches('.'))
}

fn io_trouble(error: &std::io::Error, peer: &str) -> Trouble {
    use std::io::ErrorKind as Kind;
    let text = error.to_string();
    if text.contains("lookup address") || text.contains("No such host") {
        return Trouble::Final(format!("the name of {peer} cannot be resolved (no network?)"));
    }
    let what = match error.kind() {
        Kind::ConnectionRefused => format!("{peer} refuses the connection"),
        Kind::UnexpectedEof => format!("{peer} ended the connection early"),
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => format!("{peer} broke the connection"),
        Kind::TimedOut | Kind::WouldBlock => format!("{peer} does not answer in time"),
        Kind::NetworkUnreachable | Kind::HostUnreachable | Kind::NetworkDown => {
            format!("{peer} is out of reach (no network?)")
        }
        // rustls hands its own errors through the connection.
        Kind::InvalidData => return Trouble::Final(untrusted(peer, &text)),
        _ => format!("the connection to {peer} fails ({text})"),
    };
    Trouble::Passing(what, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_joined_as_rfc_3986_says() {
        let base: Uri = "https://a.example:8443/models/x.pth?old=1".parse().unwrap();
        for (location, expected) in [
            ("https://b.example/y.pth", "https://b.example/y.pth"),
            ("//b.example/y.pth", "https://b.example/y.pth"),
            ("/y.pth?token=1", "https://a.example:8443/y.pth?token=1"),
            ("y.pth#part", "https://a.example:8443/models/y.pth"),
        ] {
            assert_eq!(join(&base, location).unwrap().to_string(), expected, "{location}");
        }
        assert!(join(&base, "https://").is_none());
    }
}
