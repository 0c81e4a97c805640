//! Downloads against a server of this file's own, on 127.0.0.1, that does what servers do on bad days.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[path = "hub/cli.rs"]
mod cli;
#[path = "common/server.rs"]
mod server;
#[path = "hub/session.rs"]
mod session;

use frostline::weights::hub::{self, FetchError, Options, Patience, Progress, Proof, Proxies, Source, Stage};
use server::{Request, Server, body};
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Of `server::body()`, by `sha256sum`.
const SHA256: &str = server::SHA256;
const FILE: &str = "model-136f334d.pth";

fn source(url: &str) -> Source {
    let prefix = SHA256.get(..8).map(str::to_owned);
    assert!(FILE.contains(prefix.as_deref().unwrap()));
    Source { url: url.to_owned(), file: FILE.to_owned(), prefix, sha256: None }
}

/// Patience of a test.
fn options() -> Options {
    Options {
        patience: Patience { connect: Duration::from_secs(5), stall: Duration::from_millis(400) },
        tries: 3,
        pause: Duration::from_millis(20),
        limit: 1 << 20,
        ..Options::default()
    }
}

fn fetch(url: &str, folder: &Path) -> Result<(PathBuf, hub::Verified), FetchError> {
    hub::fetch(&source(url), folder, &options(), &mut |_| true)
}

/// Fetches and expects the file, whole, and nothing else in the folder.
fn whole(url: &str, folder: &Path) {
    let (path, verified) = fetch(url, folder).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), body());
    assert_eq!((verified.sha256.as_str(), verified.proof), (SHA256, Proof::Prefix));
    let beside = std::fs::read_to_string(folder.join(format!("{FILE}.sha256"))).unwrap();
    assert_eq!(beside, format!("{SHA256}  {FILE}\n"));
    assert_eq!(names(folder), [FILE.to_owned(), format!("{FILE}.sha256")]);
}

/// Fetches and expects one sentence with these words, and no file under the final name.
fn refused(url: &str, folder: &Path, words: &[&str]) {
    let FetchError::Failed(text) = fetch(url, folder).unwrap_err() else { panic!("stopped") };
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(text.ends_with('.') && !text.contains(". ") && !text.contains('\n'), "{text}");
    assert!(!folder.join(FILE).exists());
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn part(folder: &Path) -> Option<Vec<u8>> {
    std::fs::read(folder.join(format!("{FILE}.part"))).ok()
}

/// The usual answer.
fn serve(_: usize, request: &Request, stream: &mut TcpStream) {
    server::file(request, stream, &body());
}

/// Sends the head for the whole, but only the first `count` bytes.
fn cut(stream: &mut TcpStream, count: usize) {
    server::head(stream, "200 OK", &format!("content-length: {}\r\netag: \"v1\"\r\n", body().len()));
    stream.write_all(&body()[..count]).unwrap();
}

#[test]
fn a_file_comes_whole_with_its_progress() {
    let (server, home) = (Server::new(serve), tempfile::tempdir().unwrap());
    let folder = home.path().join("not/there/yet");
    let mut seen: Vec<Progress> = Vec::new();
    let mut tell = |news: &Progress| {
        seen.push(*news);
        true
    };
    hub::fetch(&source(&server.url("/models/x.pth")), &folder, &options(), &mut tell).unwrap();
    let receiving: Vec<&Progress> = seen.iter().filter(|news| news.stage == Stage::Receiving).collect();
    assert!(receiving.iter().all(|news| news.total == Some(body().len() as u64)), "{seen:?}");
    assert!(receiving.windows(2).all(|pair| pair[0].done <= pair[1].done));
    assert_eq!(receiving.last().unwrap().done, body().len() as u64);
    whole(&server.url("/unused"), &folder);
    let requests = server.requests();
    assert_eq!(requests.len(), 1, "a file that is there is asked for again");
    assert_eq!((requests[0].path.as_str(), requests[0].header("range")), ("/models/x.pth", None));
    assert!(requests[0].header("user-agent").unwrap().starts_with("frostline/"));
}

#[test]
fn a_cut_off_download_goes_on_where_it_stopped() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|nth, request, stream| match nth {
        0 => cut(stream, 100_000),
        _ => server::file(request, stream, &body()),
    });
    whole(&server.url("/x"), home.path());
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].header("range"), Some("bytes=100000-"));
    assert_eq!(requests[1].header("if-range"), Some("\"v1\""));
}

#[test]
fn a_stopped_download_goes_on_another_day() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|nth, request, stream| match nth {
        0..3 => cut(stream, 1000),
        _ => server::file(request, stream, &body()),
    });
    // The server gives up three times without a new byte.
    refused(&server.url("/x"), home.path(), &["ended", "early", FILE, "136f334d"]);
    assert_eq!(part(home.path()).unwrap(), body()[..1000]);
    whole(&server.url("/x"), home.path());
    assert_eq!(server.requests().last().unwrap().header("range"), Some("bytes=1000-"));
}

#[test]
fn a_server_that_ignores_ranges_starts_over() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|nth, _, stream| match nth {
        0 => cut(stream, 100_000),
        _ => {
            server::head(stream, "200 OK", &format!("content-length: {}\r\n", body().len()));
            stream.write_all(&body()).unwrap();
        }
    });
    whole(&server.url("/x"), home.path());
    assert!(server.requests()[1].header("range").is_some());
}

#[test]
fn a_file_that_changed_meanwhile_starts_over() {
    let home = tempfile::tempdir().unwrap();
    // The first version is another file; the tag of the second differs, so that a good server sends it whole.
    let server = Server::new(|nth, request, stream| match nth {
        0 => {
            server::head(stream, "200 OK", "content-length: 300000\r\netag: \"old\"\r\n");
            stream.write_all(&[7; 5000]).unwrap();
        }
        _ => server::file(request, stream, &body()),
    });
    whole(&server.url("/x"), home.path());
    // A bad server continues with the wrong bytes: the sum finds it, and the next try begins anew.
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|nth, request, stream| match nth {
        0 => {
            server::head(stream, "200 OK", "content-length: 300000\r\n");
            stream.write_all(&[7; 5000]).unwrap();
        }
        _ => server::file(request, stream, &body()),
    });
    whole(&server.url("/x"), home.path());
    assert_eq!(server.requests().last().unwrap().header("range"), None);
}

#[test]
fn a_wrong_range_and_416_start_over() {
    for answer in ["206 Partial Content\r\ncontent-range: bytes 5-9/300000", "416 Range Not Satisfiable"] {
        let home = tempfile::tempdir().unwrap();
        let server = Server::new(move |nth, request, stream| match nth {
            0 => cut(stream, 2000),
            1 => server::head(stream, answer, "content-length: 5\r\n"),
            _ => server::file(request, stream, &body()),
        });
        whole(&server.url("/x"), home.path());
        assert_eq!(server.requests()[2].header("range"), None);
    }
}

#[test]
fn a_part_that_is_whole_already_needs_no_bytes() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(format!("{FILE}.part")), body()).unwrap();
    let server = Server::new(|_, _, stream| {
        server::head(stream, "416 Range Not Satisfiable", "content-range: bytes */300000\r\ncontent-length: 0\r\n");
    });
    let url = server.url("/x");
    let origin = format!("{{\"url\":\"{url}\",\"total\":null,\"etag\":\"\\\"v1\\\"\",\"modified\":null}}");
    std::fs::write(home.path().join(format!("{FILE}.part.json")), origin).unwrap();
    whole(&url, home.path());
}

#[test]
fn what_cannot_be_had_is_one_sentence() {
    for (answer, word, tries) in [
        ("404 Not Found", "404 Not Found", 1),
        ("403 Forbidden", "403 Forbidden", 1),
        ("416 Range Not Satisfiable", "416", 3),
        ("500 Internal Server Error", "500 Internal Server Error", 3),
        ("206 Partial Content\r\ncontent-range: bytes 0-9/300000", "another part", 3),
    ] {
        let home = tempfile::tempdir().unwrap();
        let server = Server::new(move |_, _, stream| server::head(stream, answer, "content-length: 0\r\n"));
        let folder = home.path().display().to_string();
        refused(&server.url("/models/x.pth"), home.path(), &[word, FILE, "136f334d", "/models/x.pth", &folder]);
        assert_eq!(server.requests().len(), tries, "{answer}");
        assert_eq!(part(home.path()), None);
    }
}

#[test]
fn a_busy_server_is_asked_again() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|nth, request, stream| match nth {
        0 | 1 => server::head(stream, "503 Service Unavailable", "content-length: 0\r\n"),
        _ => server::file(request, stream, &body()),
    });
    whole(&server.url("/x"), home.path());
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn redirects_are_followed_and_circles_end() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|nth, request, stream| match nth {
        0 => server::head(stream, "302 Found", "location: /cdn/a?key=1\r\ncontent-length: 0\r\n"),
        1 => server::head(stream, "307 Temporary Redirect", "location: b.pth\r\ncontent-length: 0\r\n"),
        2 => cut(stream, 1),
        // The next try begins at the published address, with its range.
        3 => server::head(stream, "302 Found", "location: /cdn/c\r\ncontent-length: 0\r\n"),
        _ => server::file(request, stream, &body()),
    });
    whole(&server.url("/x"), home.path());
    let requests = server.requests();
    let paths: Vec<&str> = requests.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/x", "/cdn/a?key=1", "/cdn/b.pth", "/x", "/cdn/c"]);
    assert_eq!(requests[4].header("range"), Some("bytes=1-"));

    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|_, request, stream| {
        let to = if request.path == "/a" { "/b" } else { "/a" };
        server::head(stream, "301 Moved Permanently", &format!("location: {to}\r\ncontent-length: 0\r\n"));
    });
    refused(&server.url("/a"), home.path(), &["redirected more than 10 times"]);
    assert_eq!(server.requests().len(), 11);
}

#[test]
fn a_server_that_stalls_is_left_and_asked_again() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|nth, request, stream| match nth {
        0 => {
            cut(stream, 50_000);
            std::thread::sleep(Duration::from_secs(2));
        }
        // Not even an answer.
        1 => std::thread::sleep(Duration::from_secs(2)),
        _ => server::file(request, stream, &body()),
    });
    whole(&server.url("/x"), home.path());
    assert_eq!(server.requests()[2].header("range"), Some("bytes=50000-"));
    // Where it never ends, the sentence says so.
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|_, _, _| std::thread::sleep(Duration::from_secs(2)));
    refused(&server.url("/x"), home.path(), &["127.0.0.1 stopped sending"]);
}

#[test]
fn a_length_that_is_a_lie_is_found() {
    // Shorter than announced: cut off. Longer: what is behind the length belongs to nobody, and the sum decides.
    for (announced, word) in [(400_000, "early"), (200_000, "SHA-256 that begins with"), (1_u64 << 40, "announces")] {
        let home = tempfile::tempdir().unwrap();
        let server = Server::new(move |_, _, stream| {
            server::head(stream, "200 OK", &format!("content-length: {announced}\r\n"));
            stream.write_all(&body()).ok();
        });
        refused(&server.url("/x"), home.path(), &[word]);
    }
    // Without a length, and without an end.
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|_, _, stream| {
        server::head(stream, "200 OK", "");
        while stream.write_all(&body()).is_ok() {}
    });
    refused(&server.url("/x"), home.path(), &["more comes"]);
    // Without a length, closed when it is whole.
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|_, _, stream| {
        server::head(stream, "200 OK", "");
        stream.write_all(&body()).unwrap();
    });
    whole(&server.url("/x"), home.path());
}

#[test]
fn wrong_bytes_never_get_the_name() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|_, request, stream| server::file(request, stream, &[9; 4000]));
    refused(&server.url("/x"), home.path(), &["SHA-256 that begins with", "not with 136f334d"]);
    assert_eq!(part(home.path()), None);
}

#[test]
fn the_page_of_a_hotel_is_no_checkpoint() {
    for (content_type, page) in [
        ("text/html; charset=utf-8", "anything"),
        ("application/octet-stream", "\r\n  <!DOCTYPE HTML><title>Welcome</title>"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let server = Server::new(move |_, _, stream| {
            let length = page.len();
            server::head(stream, "200 OK", &format!("content-type: {content_type}\r\ncontent-length: {length}\r\n"));
            stream.write_all(page.as_bytes()).unwrap();
        });
        refused(&server.url("/x"), home.path(), &["a web page comes instead of the file", "log in"]);
        assert_eq!(server.requests().len(), 1);
        assert_eq!(part(home.path()), None);
    }
}

#[test]
fn what_is_no_http_is_said() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|_, _, stream| stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n\r\n").unwrap());
    refused(&server.url("/x"), home.path(), &["127.0.0.1"]);
    // Nobody listens.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    refused(&format!("http://{closed}/x"), home.path(), &["127.0.0.1 refuses the connection"]);
    // A name that cannot be: RFC 6761 keeps `.invalid` for that.
    refused("http://frostline.invalid/x", home.path(), &["frostline.invalid"]);
    // https to a server that speaks plain HTTP.
    let server = Server::new(serve);
    refused(&server.url("/x").replace("http:", "https:"), home.path(), &["127.0.0.1"]);
}

#[test]
fn a_stop_is_heard_at_once_and_keeps_what_came() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|nth, request, stream| match nth {
        0 => {
            cut(stream, 80_000);
            std::thread::sleep(Duration::from_secs(3));
        }
        _ => server::file(request, stream, &body()),
    });
    let options = Options { patience: Patience { stall: Duration::from_secs(30), ..options().patience }, ..options() };
    let mut since: Option<Instant> = None;
    let mut tell = |news: &Progress| {
        if news.done == 80_000 {
            since = since.or_else(|| Some(Instant::now()));
        }
        since.is_none_or(|at| at.elapsed() < Duration::from_millis(200))
    };
    let begun = Instant::now();
    let error = hub::fetch(&source(&server.url("/x")), home.path(), &options, &mut tell).unwrap_err();
    assert_eq!(error, FetchError::Cancelled);
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    assert_eq!(part(home.path()).unwrap(), body()[..80_000]);
    whole(&server.url("/x"), home.path());
    assert_eq!(server.requests()[1].header("range"), Some("bytes=80000-"));
    // Before the server says anything.
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|_, _, _| std::thread::sleep(Duration::from_secs(3)));
    let begun = Instant::now();
    let mut tell = |_: &Progress| begun.elapsed() < Duration::from_millis(100);
    let error = hub::fetch(&source(&server.url("/x")), home.path(), &options, &mut tell).unwrap_err();
    assert_eq!(error, FetchError::Cancelled);
    assert!(begun.elapsed() < Duration::from_millis(600), "{:?}", begun.elapsed());
}

#[test]
fn two_that_want_one_file_get_it_once() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(|_, request, stream| {
        std::thread::sleep(Duration::from_millis(300));
        server::file(request, stream, &body());
    });
    let (url, waited) = (server.url("/x"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut tell = |news: &Progress| {
                    waited.fetch_or(news.stage == Stage::Waiting, Ordering::Relaxed);
                    true
                };
                hub::fetch(&source(&url), home.path(), &options(), &mut tell).unwrap();
            });
        }
    });
    assert!(waited.load(Ordering::Relaxed));
    assert_eq!(server.requests().len(), 1);
    whole(&url, home.path());
}

#[test]
fn a_file_that_is_there_is_judged_and_never_touched() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(FILE);
    std::fs::write(&path, b"something else").unwrap();
    let FetchError::Failed(text) = fetch("http://127.0.0.1:9/x", home.path()).unwrap_err() else { panic!() };
    assert!(text.contains("is not the published file") && text.contains("not with 136f334d"), "{text}");
    assert_eq!(std::fs::read(&path).unwrap(), b"something else");
    // Where nothing is published, the first sum is kept and compared from then on. The sum of "abc" is FIPS 180's example.
    let source = Source { file: "plain.pth".to_owned(), prefix: None, ..source("http://127.0.0.1:9/x") };
    let server = Server::new(|_, request, stream| server::file(request, stream, b"abc"));
    let source = Source { url: server.url("/plain"), ..source };
    let (path, verified) = hub::fetch(&source, home.path(), &options(), &mut |_| true).unwrap();
    assert_eq!(verified.proof, Proof::Noted);
    assert!(verified.words().contains("is recorded now"), "{}", verified.words());
    assert_eq!(verified.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let again = hub::verify(&path, &source, &mut |_| true).unwrap().unwrap();
    assert_eq!(again.proof, Proof::Recorded);
    // Outside of the weights folder nothing is written, and nothing else is claimed.
    let elsewhere = home.path().join("elsewhere.pth");
    std::fs::write(&elsewhere, b"abc").unwrap();
    let unknown = hub::verify(&elsewhere, &source, &mut |_| true).unwrap().unwrap();
    assert_eq!((unknown.proof, hub::recorded(&elsewhere)), (Proof::Unknown, None));
    assert!(unknown.words().contains("is not recorded"), "{}", unknown.words());
    std::fs::write(&path, b"abcd").unwrap();
    let text = hub::verify(&path, &source, &mut |_| true).unwrap_err();
    assert!(text.contains("has changed since it came"), "{text}");
    let whole = Source { sha256: Some(again.sha256), ..source };
    std::fs::write(&path, b"abc").unwrap();
    assert_eq!(hub::verify(&path, &whole, &mut |_| true).unwrap().unwrap().proof, Proof::Whole);
}

#[test]
fn a_proxy_is_asked_to_connect() {
    let home = tempfile::tempdir().unwrap();
    // The stub is proxy and server at once: behind CONNECT it answers for whatever host was named.
    let proxy = Server::new(|_, request, stream| {
        if request.method == "CONNECT" {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let inner = Request::read(stream).unwrap();
            assert_eq!(inner.header("host"), Some("weights.test"));
            server::file(&inner, stream, &body());
        }
    });
    let address = proxy.url("").replace("http://", "http://me:secret@");
    let get = |name: &str| (name == "HTTP_PROXY").then(|| address.clone());
    let options = Options { proxies: Proxies::from_env(get), ..options() };
    hub::fetch(&source("http://weights.test/x.pth"), home.path(), &options, &mut |_| true).unwrap();
    whole("http://weights.test/x.pth", home.path());
    let requests = proxy.requests();
    assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("CONNECT", "weights.test:80"));
    // `me:secret` in base64.
    assert_eq!(requests[0].header("proxy-authorization"), Some("Basic bWU6c2VjcmV0"));

    let home = tempfile::tempdir().unwrap();
    let proxy = Server::new(|_, _, stream| server::head(stream, "407 Proxy Authentication Required", ""));
    let address = proxy.url("").replace("http://", "http://me:secret@");
    let get = |name: &str| (name == "https_proxy").then(|| address.clone());
    let options = Options { proxies: Proxies::from_env(get), ..options };
    let error = hub::fetch(&source("https://weights.test/x"), home.path(), &options, &mut |_| true).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("the proxy 127.0.0.1:") && text.contains("407") && !text.contains("secret"), "{text}");
    assert_eq!(proxy.requests()[0].path, "weights.test:443");
}

#[test]
fn a_mirror_stands_for_the_publisher() {
    let (server, home) = (Server::new(serve), tempfile::tempdir().unwrap());
    let options = Options { mirror: Some(server.url("/pytorch/")), ..options() };
    hub::fetch(&source("https://weights.test/models/x"), home.path(), &options, &mut |_| true).unwrap();
    assert_eq!(server.requests()[0].path, format!("/pytorch/{FILE}"));
}

#[test]
#[cfg(unix)]
fn a_folder_that_cannot_be_written_is_said() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let FetchError::Failed(text) = fetch("http://127.0.0.1:9/x", &file.join("weights")).unwrap_err() else { panic!() };
    assert!(text.starts_with("Cannot write ") && text.ends_with('.'), "{text}");
    // Whoever may do everything (root in a container) is not stopped by permissions.
    use std::os::unix::fs::PermissionsExt as _;
    let closed = home.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(closed.join("probe"), b"").is_err() {
        let FetchError::Failed(text) = fetch("http://127.0.0.1:9/x", &closed).unwrap_err() else { panic!() };
        assert!(text.contains("you may not write there"), "{text}");
    }
}
