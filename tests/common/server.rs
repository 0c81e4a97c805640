//! A web server for tests, on 127.0.0.1: one request for each connection, answered by whatever a test says.
#![allow(dead_code, clippy::allow_attributes, clippy::unwrap_used, reason = "helpers; each test file uses a part")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Of [`body`], by `sha256sum`.
pub const SHA256: &str = "136f334d647619879743ff33fde1ac6547f40e314692441f2a125e087cad47c9";

/// 300 000 bytes: `(i * 2654435761 mod 2^32) >> 24`.
pub fn body() -> Vec<u8> {
    (0..300_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream.try_clone().ok()?.take(64 << 10)).lines();
        let first = lines.next()?.ok()?;
        let mut words = first.split(' ').map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let lines = lines.map_while(Result::ok).take_while(|line| !line.is_empty());
        let header = |line: String| line.split_once(':').map(|(k, v)| (k.to_lowercase(), v.trim().to_owned()));
        Some(Self { method, path, headers: lines.filter_map(header).collect() })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Answers the nth request.
type Answer = dyn Fn(usize, &Request, &mut TcpStream) + Send + Sync;

/// The server; it ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    ended: Arc<AtomicBool>,
}

impl Server {
    pub fn new(answer: impl Fn(usize, &Request, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, ended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (list, end) = (Arc::clone(&requests), Arc::clone(&ended));
        let answer: Arc<Answer> = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(mut stream) = stream else { continue };
                let (list, answer) = (Arc::clone(&list), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let Some(request) = Request::read(&stream) else { return };
                    let nth = {
                        let mut list = list.lock().unwrap();
                        list.push(request.clone());
                        list.len() - 1
                    };
                    answer(nth, &request, &mut stream);
                });
            }
        });
        Self { address, requests, ended }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        TcpStream::connect(self.address).ok();
    }
}

/// Sends the head of an answer; `headers` end with a line break each.
pub fn head(stream: &mut TcpStream, status: &str, headers: &str) {
    write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n").ok();
}

/// Sends a file as good servers do: ranges, where `If-Range` names the tag `"v1"` or is absent.
pub fn file(request: &Request, stream: &mut TcpStream, body: &[u8]) {
    let same = request.header("if-range").is_none_or(|tag| tag == "\"v1\"");
    let range =
        request.header("range").filter(|_| same).and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
    let start: usize = range.and_then(|start| start.parse().ok()).unwrap_or(0);
    let (rest, total) = (&body[start..], body.len());
    let common = format!("etag: \"v1\"\r\naccept-ranges: bytes\r\ncontent-length: {}\r\n", rest.len());
    if range.is_some() {
        let headers = format!("content-range: bytes {start}-{}/{total}\r\n{common}", total - 1);
        head(stream, "206 Partial Content", &headers);
    } else {
        head(stream, "200 OK", &common);
    }
    stream.write_all(rest).ok();
}
