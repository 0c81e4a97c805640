//! Which proxy an address is asked through, as the environment says.

use ureq::http::{Uri, uri::Scheme};
use ureq::{Proxy, ProxyProtocol};

/// The proxies of the environment, by the rules that curl made usual.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<String>,
    https: Option<String>,
    bypass: Vec<String>,
}

impl Proxies {
    /// From `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy`; lower case goes before upper case.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&str]| {
            let values = names.iter().flat_map(|name| [name.to_lowercase(), name.to_uppercase()]);
            values.filter_map(|name| get(&name)).map(|value| value.trim().to_owned()).find(|value| !value.is_empty())
        };
        let bypass = first(&["no_proxy"]).unwrap_or_default();
        let entries = bypass.split([',', ' ', ';']).map(str::trim).filter(|entry| !entry.is_empty());
        Self {
            http: first(&["http_proxy", "all_proxy"]),
            https: first(&["https_proxy", "all_proxy"]),
            bypass: entries.map(str::to_lowercase).collect(),
        }
    }

    /// The proxy for an address; an address on this machine needs none.
    ///
    /// # Errors
    /// Words, where the environment names a proxy that cannot be used.
    pub(super) fn proxy_for(&self, uri: &Uri) -> Result<Option<Proxy>, String> {
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_lowercase();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let Some(text) = (if secure { &self.https } else { &self.http }) else { return Ok(None) };
        if is_loopback(&host) || self.bypass.iter().any(|entry| names(entry, &host, port)) {
            return Ok(None);
        }
        // The text may hold a password: it is in no message.
        let proxy = Proxy::new(text).map_err(|_| "the proxy that the environment names is no address".to_owned())?;
        match proxy.protocol() {
            ProxyProtocol::Http | ProxyProtocol::Https => Ok(Some(proxy)),
            _ => Err(format!(
                "the proxy {}:{} of the environment is neither http:// nor https://, and other kinds are not supported",
                proxy.host(),
                proxy.port()
            )),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether an entry of `no_proxy` names a host: itself, or a domain that it is in; perhaps for one port only.
fn names(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    let (name, only) = match entry.rsplit_once(':') {
        Some((name, digits)) if !name.contains(':') => match digits.parse::<u16>() {
            Ok(only) => (name, Some(only)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    };
    let name = name.trim_start_matches('*').trim_start_matches('.').trim_matches(['[', ']']);
    let inside = host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !name.is_empty() && inside && only.is_none_or(|only| only == port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(vars: &[(&str, &str)], address: &str) -> Result<Option<String>, String> {
        let get = |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let proxy = Proxies::from_env(get).proxy_for(&address.parse().unwrap())?;
        Ok(proxy.map(|proxy| format!("{}:{}", proxy.host(), proxy.port())))
    }

    #[test]
    fn the_scheme_of_the_address_picks_the_variable() {
        let https = "https://download.pytorch.org/models/x.pth";
        let both = [("HTTPS_PROXY", "http://s:1"), ("HTTP_PROXY", "http://p:2")];
        assert_eq!(chosen(&both, https), Ok(Some("s:1".to_owned())));
        assert_eq!(chosen(&both, "http://weights.test/x"), Ok(Some("p:2".to_owned())));
        assert_eq!(chosen(&[("HTTP_PROXY", "http://p:2")], https), Ok(None));
        assert_eq!(chosen(&[("ALL_PROXY", "p:3")], https), Ok(Some("p:3".to_owned())));
        assert_eq!(chosen(&[("https_proxy", "low:4"), ("HTTPS_PROXY", "up:5")], https), Ok(Some("low:4".to_owned())));
        assert_eq!(chosen(&[("https_proxy", " "), ("HTTPS_PROXY", "up:5")], https), Ok(Some("up:5".to_owned())));
    }

    #[test]
    fn no_proxy_names_hosts_domains_and_ports() {
        for (entry, free) in [
            ("download.pytorch.org", true),
            ("pytorch.org", true),
            (".pytorch.org", true),
            ("*.pytorch.org", true),
            ("a.example, PYTORCH.org", true),
            ("pytorch.org:443", true),
            ("pytorch.org:80", false),
            ("torch.org", false),
            ("org.example", false),
            ("*", true),
            ("", false),
        ] {
            let vars = [("https_proxy", "http://p:1"), ("no_proxy", entry)];
            let proxy = chosen(&vars, "https://download.pytorch.org/x").unwrap();
            assert_eq!(proxy.is_none(), free, "{entry:?}");
        }
        assert_eq!(chosen(&[("http_proxy", "http://p:1")], "http://127.0.0.1:8000/x"), Ok(None));
        assert_eq!(chosen(&[("http_proxy", "http://p:1")], "http://[::1]:8000/x"), Ok(None));
    }

    #[test]
    fn a_proxy_of_another_kind_is_refused_without_its_password() {
        let error = chosen(&[("all_proxy", "socks5://me:secret@p.example:1080")], "https://a.example/x").unwrap_err();
        assert!(error.contains("p.example:1080") && !error.contains("secret"), "{error}");
        let error = chosen(&[("all_proxy", "http://me:secret@:::/")], "https://a.example/x").unwrap_err();
        assert!(!error.contains("secret"), "{error}");
    }
}
