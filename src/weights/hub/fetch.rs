//! Fetching one file.

use super::check::{self, Verified, judge};
use super::http::{Exchange, NO_ROOTS, Piece, Reply, Roots, Trouble};
use super::lock::Lock;
use super::part::{Origin, Part, failed};
use super::{Options, Source};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often whoever asked is told, and asked whether to go on.
const TICK: Duration = Duration::from_millis(40);
/// The time over which the speed is measured.
const WINDOW: Duration = Duration::from_secs(3);
/// How much of an unexpected page is looked at.
const LOOK: usize = 512;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Another program fetches the same file.
    Waiting,
    /// The server was asked.
    Connecting,
    /// Bytes come.
    Receiving,
    /// The last try failed; the next one comes in a moment.
    Pausing,
}

/// How far a download is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Bytes that are there.
    pub done: u64,
    /// Of how many, where the server says so.
    pub total: Option<u64>,
    /// Speed of the last seconds.
    pub bytes_per_s: f64,
}

/// Why there is no file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// A person stopped it; what came is kept and goes on next time.
    #[error("The download was stopped.")]
    Cancelled,
    /// A sentence with the file, the cause and what helps.
    #[error("{0}")]
    Failed(String),
}

/// Brings a published file into `folder`, or finds it there. `tell` is called at least every 50 ms or so and says whether
/// to go on.
///
/// # Errors
/// When a person stopped it, or why it cannot be had. There is never a file of that name with anything else in it.
pub fn fetch(
    source: &Source,
    folder: &Path,
    options: &Options,
    tell: &mut dyn FnMut(&Progress) -> bool,
) -> Result<(PathBuf, Verified), FetchError> {
    let url = options.address(source);
    let mut download = Download { source, options, url, tell, pace: Pace::default(), total: None };
    download.bring(folder).map_err(|trouble| match trouble {
        Trouble::Cancelled => FetchError::Cancelled,
        Trouble::Disk(sentence) => FetchError::Failed(sentence),
        Trouble::Passing(what, _) | Trouble::Final(what) => {
            let (file, url) = (&source.file, options.address(source));
            let hash = source.hash_words().map_or_else(String::new, |hash| format!(" ({hash})"));
            let folder = folder.display();
            FetchError::Failed(format!(
                "{file} cannot be downloaded from {url}: {what}; the file{hash} can also be put into {folder} by hand."
            ))
        }
    })
}

struct Download<'a> {
    source: &'a Source,
    options: &'a Options,
    url: String,
    tell: &'a mut dyn FnMut(&Progress) -> bool,
    pace: Pace,
    total: Option<u64>,
}

impl Download<'_> {
    fn bring(&mut self, folder: &Path) -> Result<(PathBuf, Verified), Trouble> {
        let path = folder.join(&self.source.file);
        if path.is_file() {
            return self.present(path);
        }
        std::fs::create_dir_all(folder).map_err(|error| Trouble::Disk(failed(folder, &error)))?;
        let mut go_on = || self.say(Stage::Waiting, 0).is_ok();
        let lock = Lock::take(&path, TICK, &mut go_on).map_err(Trouble::Disk)?.ok_or(Trouble::Cancelled)?;
        // Whoever held the lock before may have brought it.
        if path.is_file() {
            return self.present(path);
        }
        let mut part_path = path.clone().into_os_string();
        part_path.push(if lock.holds() { ".part".to_owned() } else { format!(".part{}", std::process::id()) });
        let verified = self.complete(Path::new(&part_path), &path)?;
        Ok((path, verified))
    }

    /// A file that is there already is used if it is the right one, and never touched.
    fn present(&mut self, path: PathBuf) -> Result<(PathBuf, Verified), Trouble> {
        let source = self.source;
        let mut go_on = |_| self.say(Stage::Connecting, 0).is_ok();
        let verified = check::verify(&path, source, &mut go_on).map_err(Trouble::Disk)?;
        Ok((path, verified.ok_or(Trouble::Cancelled)?))
    }

    fn say(&mut self, stage: Stage, done: u64) -> Result<(), Trouble> {
        let bytes_per_s = if stage == Stage::Receiving { self.pace.speed() } else { 0.0 };
        let go_on = (self.tell)(&Progress { stage, done, total: self.total, bytes_per_s });
        if go_on { Ok(()) } else { Err(Trouble::Cancelled) }
    }

    /// Tries until the file is whole.
    fn complete(&mut self, part_path: &Path, path: &Path) -> Result<Verified, Trouble> {
        let mut roots = Roots::Platform;
        let url = self.url.clone();
        let (mut fruitless, mut most) = (0, 0);
        // A part that turns out to be of another file may be begun anew once.
        let mut renewed = false;
        loop {
            let mut go_on = |done| self.say(Stage::Connecting, done).is_ok();
            let opened = Part::open(part_path.to_path_buf(), &url, &mut go_on).map_err(Trouble::Disk)?;
            let mut part = opened.ok_or(Trouble::Cancelled)?;
            let before = part.len;
            most = before.max(most);
            let trouble = match self.attempt(&mut part, roots) {
                Ok(()) => {
                    let sha256 = part.sha256();
                    match judge(path, self.source, &sha256) {
                        Ok(verified) => {
                            part.finish(path).map_err(Trouble::Disk)?;
                            return Ok(check::noted(path, verified));
                        }
                        Err(_) => {
                            part.discard();
                            if before == 0 || renewed {
                                return Err(Trouble::Final(self.wrong(&sha256)));
                            }
                            renewed = true;
                            continue;
                        }
                    }
                }
                Err(trouble) => trouble,
            };
            match trouble {
                Trouble::Final(what) if what == NO_ROOTS && roots == Roots::Platform => roots = Roots::Mozilla,
                Trouble::Passing(what, after) => {
                    // Begun anew and cut off at the same place is no progress.
                    fruitless = if part.len > most { 1 } else { fruitless + 1 };
                    if fruitless >= self.options.tries {
                        part.discard_empty();
                        return Err(Trouble::Passing(what, None));
                    }
                    let pause = self.options.pause * (1 << (fruitless - 1).min(6));
                    self.rest(after.unwrap_or(pause).min(Duration::from_secs(30)).max(pause), part.len)?;
                }
                other => {
                    part.discard_empty();
                    return Err(other);
                }
            }
        }
    }

    fn wrong(&self, sha256: &str) -> String {
        let known = self.source.sha256.as_deref().or(self.source.prefix.as_deref()).unwrap_or_default();
        format!(
            "what came has a SHA-256 that begins with {}, not with {known}, and was thrown away",
            sha256.get(..known.len().max(8)).unwrap_or(sha256)
        )
    }

    fn rest(&mut self, pause: Duration, done: u64) -> Result<(), Trouble> {
        let until = Instant::now() + pause;
        while Instant::now() < until {
            self.say(Stage::Pausing, done)?;
            std::thread::sleep(TICK.min(until.saturating_duration_since(Instant::now())));
        }
        Ok(())
    }

    /// Asks once for what is missing and appends what comes; fine when the part is whole.
    fn attempt(&mut self, part: &mut Part, roots: Roots) -> Result<(), Trouble> {
        self.total = part.origin.total;
        if part.len > 0 && part.origin.total == Some(part.len) {
            return Ok(());
        }
        let mut headers = vec![("accept-encoding", "identity".to_owned())];
        if part.len > 0 {
            headers.push(("range", format!("bytes={}-", part.len)));
            headers.extend(part.origin.validator().map(|validator| ("if-range", validator.to_owned())));
        }
        let options = self.options;
        let exchange = Exchange::start(&self.url, headers, &options.proxies, options.patience, roots)?;
        let mut last_byte = Instant::now();
        let mut begun = false;
        self.pace = Pace::default();
        loop {
            let stage = if begun { Stage::Receiving } else { Stage::Connecting };
            self.say(stage, part.len)?;
            match exchange.next(TICK)? {
                None => {
                    // The exchange has its own patience; this one holds whatever it does.
                    if last_byte.elapsed() > options.patience.stall + options.patience.connect {
                        return Err(Trouble::Passing("nothing comes any more".to_owned(), None));
                    }
                }
                Some(Piece::Reply(reply)) => {
                    if self.begin(part, &reply)? {
                        return Ok(());
                    }
                    begun = true;
                    last_byte = Instant::now();
                }
                Some(Piece::Bytes(bytes)) => {
                    if part.len == 0 && is_page(&bytes) {
                        return Err(Trouble::Final(PAGE.to_owned()));
                    }
                    if part.len + bytes.len() as u64 > self.total.unwrap_or(options.limit) {
                        part.restart().map_err(Trouble::Disk)?;
                        return Err(Trouble::Final("more comes than such a file can hold".to_owned()));
                    }
                    part.append(&bytes).map_err(Trouble::Disk)?;
                    self.pace.note(part.len);
                    last_byte = Instant::now();
                }
                Some(Piece::End) => {
                    return match self.total {
                        Some(total) if part.len < total => {
                            Err(Trouble::Passing(format!("it ended after {} of {total} bytes", part.len), None))
                        }
                        _ if part.len == 0 => Err(Trouble::Passing("nothing came".to_owned(), None)),
                        _ => Ok(()),
                    };
                }
            }
        }
    }

    /// Makes the part ready for the body that follows; true when the part is whole already.
    fn begin(&mut self, part: &mut Part, reply: &Reply) -> Result<bool, Trouble> {
        match reply.status {
            200 => {
                part.restart().map_err(Trouble::Disk)?;
                if reply.content_type.starts_with("text/html") || reply.content_type.starts_with("application/xhtml") {
                    return Err(Trouble::Final(PAGE.to_owned()));
                }
                self.total = reply.length;
            }
            206 => {
                let range = reply.content_range.as_deref().and_then(content_range);
                let fits = range.is_some_and(|(start, total)| {
                    start == part.len && (part.origin.total.is_none() || total == part.origin.total)
                });
                if part.len == 0 || !fits {
                    part.restart().map_err(Trouble::Disk)?;
                    return Err(Trouble::Passing("the server sends another part than was asked for".to_owned(), None));
                }
                self.total = part.origin.total.or_else(|| range.and_then(|(_, total)| total));
            }
            416 => {
                let total = reply.content_range.as_deref().and_then(|range| range.rsplit_once('/')?.1.parse().ok());
                if part.len > 0 && total == Some(part.len) {
                    return Ok(true);
                }
                part.restart().map_err(Trouble::Disk)?;
                return Err(Trouble::Passing("the server has no such part of the file (416)".to_owned(), None));
            }
            status => return Err(refusal(status, reply.retry_after)),
        }
        if let Some(total) = self.total.filter(|&total| total > self.options.limit) {
            return Err(Trouble::Final(format!("the server announces {total} bytes, which no such file has")));
        }
        let origin = Origin {
            url: self.url.clone(),
            total: self.total,
            etag: reply.etag.clone().or_else(|| part.origin.etag.clone()),
            modified: reply.modified.clone().or_else(|| part.origin.modified.clone()),
        };
        part.belongs_to(origin).map_err(Trouble::Disk)?;
        Ok(false)
    }
}

const PAGE: &str = "a web page comes instead of the file; this network may ask you to log in first, in a browser";

fn is_page(bytes: &[u8]) -> bool {
    let start = bytes.get(..LOOK).unwrap_or(bytes).trim_ascii_start().to_ascii_lowercase();
    start.starts_with(b"<!doctype html") || start.starts_with(b"<html") || start.starts_with(b"<head")
}

/// `bytes 100-199/1000` as where it starts and how long the whole is.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes")?.trim().split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

fn refusal(status: u16, after: Option<Duration>) -> Trouble {
    let name = ureq::http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
    let what = format!("the server answers {status} {}", name.unwrap_or("without words")).trim_end().to_owned();
    match status {
        408 | 425 | 429 | 500 | 502 | 503 | 504 => Trouble::Passing(what, after),
        _ => Trouble::Final(what),
    }
}

/// The speed of the last seconds.
#[derive(Debug, Default)]
struct Pace {
    points: VecDeque<(Instant, u64)>,
}

impl Pace {
    fn note(&mut self, done: u64) {
        let now = Instant::now();
        self.points.push_back((now, done));
        while self.points.front().is_some_and(|(at, _)| now.duration_since(*at) > WINDOW) {
            self.points.pop_front();
        }
    }

    fn speed(&self) -> f64 {
        let (Some((from, less)), Some((_, more))) = (self.points.front(), self.points.back()) else { return 0.0 };
        let secs = from.elapsed().as_secs_f64();
        if secs < 0.05 { 0.0 } else { more.saturating_sub(*less) as f64 / secs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(content_range("bytes 100-199/1000"), Some((100, Some(1000))));
        assert_eq!(content_range("bytes 0-0/*"), Some((0, None)));
        assert_eq!(content_range("bytes */1000"), None);
        assert_eq!(content_range("pages 1-2/3"), None);
    }
}
