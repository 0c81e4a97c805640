//! Public weights: where they lie on this machine, and how they come there.
//!
//! ```text
//! find ──► verify
//!   └ absent ──► fetch: lock ──► FILE.part (goes on where it stopped) ──► SHA-256 ──► FILE, FILE.sha256
//! ```
//!
//! Nothing is fetched unless a person asked for it. The certificates are checked against the system's roots, so that a
//! company's own hold, and against Mozilla's where the system has none. What is behind a `.part` is remembered in
//! `FILE.part.json`; two programs that want one file wait for each other at `FILE.lock`.

mod check;
mod fetch;
mod folder;
mod http;
mod lock;
mod part;
mod proxy;
mod take_in;

pub use check::{Proof, Verified, recorded, verify};
pub use fetch::{FetchError, Progress, Stage, fetch};
pub use folder::{cache_folder, data_folder, find, weights_folder};
pub use http::Patience;
pub use proxy::Proxies;
pub use take_in::take_in;

use crate::models::PublicWeights;
use std::time::Duration;

/// A file that is published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Its address.
    pub url: String,
    /// Its usual name.
    pub file: String,
    /// The first digits of its SHA-256, where they are published.
    pub prefix: Option<String>,
    /// Its SHA-256, where it is known for sure.
    pub sha256: Option<String>,
}

impl From<&PublicWeights> for Source {
    fn from(weights: &PublicWeights) -> Self {
        Self {
            url: weights.url.to_owned(),
            file: weights.file.to_owned(),
            prefix: weights.hash_prefix().map(str::to_owned),
            sha256: weights.sha256.map(str::to_owned),
        }
    }
}

impl Source {
    /// What is published of its SHA-256.
    #[must_use]
    pub fn hash_words(&self) -> Option<String> {
        let whole = self.sha256.as_ref().map(|sha256| format!("SHA-256 {sha256}"));
        whole.or_else(|| self.prefix.as_ref().map(|prefix| format!("SHA-256 begins with {prefix}")))
    }
}

/// How files are fetched.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long is waited.
    pub patience: Patience,
    /// Tries that bring no new byte before it is given up.
    pub tries: u32,
    /// The pause after the first of them; it doubles.
    pub pause: Duration,
    /// Bytes that no file of weights exceeds.
    pub limit: u64,
    /// The environment's proxies.
    pub proxies: Proxies,
    /// An address that holds the files instead of their publishers, such as a mirror inside a company.
    pub mirror: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            patience: Patience { connect: Duration::from_secs(15), stall: Duration::from_secs(30) },
            tries: 4,
            pause: Duration::from_millis(500),
            limit: 16 << 30,
            proxies: Proxies::default(),
            mirror: None,
        }
    }
}

impl Options {
    /// With the proxies of the environment, and the mirror that `FROSTLINE_MIRROR` names.
    #[must_use]
    pub fn from_env() -> Self {
        let get = |name: &str| std::env::var(name).ok();
        let mirror = get("FROSTLINE_MIRROR").filter(|address| !address.trim().is_empty());
        Self { proxies: Proxies::from_env(get), mirror, ..Self::default() }
    }

    /// Where a file is fetched from.
    #[must_use]
    pub fn address(&self, source: &Source) -> String {
        match &self.mirror {
            Some(mirror) => format!("{}/{}", mirror.trim().trim_end_matches('/'), source.file),
            None => source.url.clone(),
        }
    }
}
