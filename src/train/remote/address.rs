//! Where a server listens: a host and a port.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

/// A host with a port: `gpu.lab:7733`, `10.0.0.2:7733`, `[::1]:7733`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// A name, or an address; one of IPv6 without its brackets.
    host: String,
    port: u16,
}

impl Address {
    /// The port of `frostline serve`, if nobody says otherwise.
    pub const PORT: u16 = 7733;

    /// Whether only this machine is meant.
    #[must_use]
    pub fn is_here(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host == "localhost",
        }
    }

    /// What the name stands for.
    ///
    /// # Errors
    /// A sentence, when the name is unknown.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, String> {
        match (self.host.as_str(), self.port).to_socket_addrs() {
            Ok(found) => Ok(found.collect()),
            Err(cause) => Err(format!("{} is no known host: {cause}.", self.host)),
        }
    }
}

impl Default for Address {
    /// This machine, where an SSH tunnel ends.
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: Self::PORT }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("{text} is no HOST:PORT: {what}");
        let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong("the port is missing"))?;
        let port = port.parse().map_err(|_| wrong("the port is a number up to 65535"))?;
        let host = match host.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
            Some(Some(inner)) if inner.parse::<std::net::Ipv6Addr>().is_ok() => inner,
            Some(_) => return Err(wrong("what stands in brackets is no IPv6 address")),
            None if host.is_empty() => return Err(wrong("the host is missing")),
            None if host.contains(':') => return Err(wrong("an IPv6 address stands in brackets")),
            None => host,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
        match host.chars().find(|&c| !plain(c)) {
            None => Ok(Self { host: host.to_owned(), port }),
            Some(c) => Err(wrong(&format!("a host has no {c:?}"))),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for text in ["gpu.lab:7733", "10.0.0.2:1", "[::1]:65535", "my_gpu-2:7733", "localhost:80"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
            let json = serde_json::to_string(&text.parse::<Address>().unwrap()).unwrap();
            assert_eq!(json, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Address>(&json).ok(), text.parse().ok());
        }
        for (text, what) in [
            ("gpu", "the port is missing"),
            ("gpu:", "the port is a number"),
            ("gpu:65536", "the port is a number"),
            (":7733", "the host is missing"),
            ("::1:7733", "stands in brackets"),
            ("[::1:7733", "no IPv6 address"),
            ("[gpu]:7733", "no IPv6 address"),
            ("ws://gpu:7733", "stands in brackets"),
            ("gpu/x:7733", "a host has no '/'"),
            ("me@gpu:7733", "a host has no '@'"),
        ] {
            let said = text.parse::<Address>().unwrap_err();
            assert!(said.starts_with(text) && said.contains(what), "{said}");
        }
    }

    #[test]
    fn what_is_here() {
        let here = |text: &str| text.parse::<Address>().unwrap().is_here();
        assert!(here("127.0.0.1:1") && here("127.9.9.9:1") && here("[::1]:1") && here("localhost:1"));
        assert!(!here("0.0.0.0:1") && !here("[::]:1") && !here("10.0.0.2:1") && !here("gpu.lab:1"));
    }
}
