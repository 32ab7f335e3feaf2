//! Which virtual host an authority belongs to.

use std::collections::BTreeMap;

use crate::VirtualHost;
use crate::span::offset;
use crate::string_map::StringMap;
use crate::trie::{Lower, LowerReversed, Trie};

/// The domains of all virtual hosts. An exact domain wins over suffix wildcards, those over prefix wildcards, those
/// over `*`; of several wildcards of one kind the longest wins.
#[derive(Clone, Debug)]
pub(crate) struct Domains {
    exact: StringMap,
    /// What follows the `*`, reversed.
    suffixes: Trie,
    /// What precedes the `*`.
    prefixes: Trie,
    any: Option<u32>,
    ignore_port: bool,
}

/// A domain that another virtual host, or the same one, has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The virtual host that has the domain.
    pub(crate) by: usize,
    pub(crate) virtual_host: usize,
    pub(crate) domain: usize,
}

impl Domains {
    /// The domains of these virtual hosts; the first one to have a domain keeps it.
    pub(crate) fn new(virtual_hosts: &[VirtualHost], ignore_port: bool) -> (Self, Vec<Taken>) {
        let count = virtual_hosts.iter().map(|host| host.domains().len()).sum();
        let mut exact = StringMap::with_capacity(count, true);
        let (mut suffixes, mut prefixes) = (BTreeMap::new(), BTreeMap::new());
        let mut any = None;
        let mut taken = Vec::new();
        for (at, virtual_host) in virtual_hosts.iter().enumerate() {
            let value = offset(at);
            for (domain_at, domain) in virtual_host.domains().iter().enumerate() {
                let lower = domain.to_ascii_lowercase().into_bytes();
                let earlier = match lower.as_slice() {
                    b"*" => any.replace(value).inspect(|earlier| any = Some(*earlier)),
                    [b'*', suffix @ ..] => {
                        claim(&mut suffixes, suffix.iter().rev().copied().collect(), value)
                    }
                    [prefix @ .., b'*'] => claim(&mut prefixes, prefix.to_vec(), value),
                    whole => exact.insert(whole, value).err(),
                };
                if let Some(by) = earlier {
                    taken.push(Taken { by: by as usize, virtual_host: at, domain: domain_at });
                }
            }
        }
        let domains =
            Self { exact, suffixes: Trie::new(&suffixes), prefixes: Trie::new(&prefixes), any, ignore_port };
        (domains, taken)
    }

    /// The virtual host of the authority.
    pub(crate) fn find(&self, authority: &str) -> Option<u32> {
        let authority = if self.ignore_port { without_port(authority) } else { authority }.as_bytes();
        let exact = if self.exact.is_empty() { None } else { self.exact.get(authority) };
        // A wildcard stands for at least one character, so what is written must be shorter than the authority.
        exact
            .or_else(|| self.suffixes.longest(&LowerReversed(authority), authority.len()))
            .or_else(|| self.prefixes.longest(&Lower(authority), authority.len()))
            .or(self.any)
    }
}

/// Gives the key to the virtual host, unless another has it: then that one is returned.
fn claim(keys: &mut BTreeMap<Vec<u8>, Vec<u32>>, key: Vec<u8>, virtual_host: u32) -> Option<u32> {
    let owners = keys.entry(key).or_default();
    let earlier = owners.first().copied();
    if earlier.is_none() {
        owners.push(virtual_host);
    }
    earlier
}

/// The authority up to the last colon that is not within the brackets of an IPv6 address. As in Envoy, what follows
/// the colon need not be a number.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [(&str, &[&str]); 7] = [
        ("star", &["*"]),
        ("suf", &["*.foo.com"]),
        ("dash", &["*-bar.foo.com"]),
        ("pre", &["foo.*"]),
        ("prelong", &["foo.ba*"]),
        ("exact", &["WWW.foo.com", "p.foo.com:81"]),
        ("odd", &["*x*"]),
    ];

    fn domains(hosts: &[(&str, &[&str])], ignore_port: bool) -> (Domains, Vec<Taken>) {
        let hosts: Vec<_> = hosts
            .iter()
            .map(|(name, domains)| VirtualHost::new(*name).with_domains(domains.iter().copied()))
            .collect();
        Domains::new(&hosts, ignore_port)
    }

    // Expectations from Envoy 1.40.
    #[test]
    fn precedence() {
        let (plain, taken) = domains(&NAMES, false);
        assert_eq!(taken, []);
        let (ignore_port, _) = domains(&NAMES, true);
        let check = |authority: &str, expected: &str, expected_ignoring_port: &str| {
            let name = |found: Option<u32>| found.map(|at| NAMES[at as usize].0);
            assert_eq!(name(plain.find(authority)), Some(expected), "{authority}");
            assert_eq!(
                name(ignore_port.find(authority)),
                Some(expected_ignoring_port),
                "{authority} no port"
            );
        };
        check("www.foo.com", "exact", "exact");
        check("WWW.FOO.COM", "exact", "exact");
        check("www.foo.com:80", "star", "exact");
        check("a.foo.com", "suf", "suf");
        check(".foo.com", "star", "star");
        check("foo.com", "pre", "pre");
        check("x-bar.foo.com", "dash", "dash");
        check("-bar.foo.com", "suf", "suf");
        check("A-BAR.foo.COM", "dash", "dash");
        check("foo.", "star", "star");
        check("foo.b", "pre", "pre");
        check("foo.ba", "pre", "pre");
        check("foo.bar", "prelong", "prelong");
        check("FOO.BAR:99", "prelong", "prelong");
        check("p.foo.com:81", "exact", "suf");
        check("p.foo.com", "suf", "suf");
        check("p.foo.com:82", "star", "suf");
        check("zx*", "odd", "odd");
        check("x*", "star", "star");
        check("a.foo.com:", "star", "suf");
        check("", "star", "star");
        check("foo.com:a", "pre", "pre");
        check("a.foo.com:8:9", "star", "star");
    }

    #[test]
    fn without_a_default() {
        let (domains, _) = domains(&[("suffix", &["*.foo.com"]), ("empty", &[""])], false);
        let check = |authority: &str, expected: Option<u32>| assert_eq!(domains.find(authority), expected);
        check("a.foo.com", Some(0));
        check(".foo.com", None);
        check("other", None);
        check("", Some(1));
    }

    #[test]
    fn ports() {
        fn check(authority: &str, expected: &str) {
            assert_eq!(without_port(authority), expected);
        }
        check("a", "a");
        check("a:80", "a");
        check("a:", "a");
        check("[::1]", "[::1]");
        check("[::1]:80", "[::1]");
        check("", "");
    }

    #[test]
    fn duplicates_go_to_the_first() {
        let (domains, taken) = domains(
            &[
                ("a", &["*", "x.com", "*.x", "x.*"]),
                ("b", &["X.com", "*", "*.X", "X.*", "y"]),
                ("c", &["y", "y"]),
            ],
            false,
        );
        let expected = [(0, 1, 0), (0, 1, 1), (0, 1, 2), (0, 1, 3), (1, 2, 0), (1, 2, 1)];
        let expected = expected.map(|(by, virtual_host, domain)| Taken { by, virtual_host, domain });
        assert_eq!(taken, expected);
        assert_eq!(domains.find("x.COM"), Some(0));
        assert_eq!(domains.find("zzz"), Some(0));
        assert_eq!(domains.find("y"), Some(1));
    }
}
