//! How users name nodes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The port that a ppserver listens on if nobody says otherwise.
pub const DEFAULT_PORT: u16 = 60_000;

/// The most nodes that one range may stand for: more is a slip of the pen.
const RANGE_MAX: usize = 65_536;

/// The most bytes of an entry: a long list of numbers fits, a file taken for a name does not.
const ENTRY_MAX: usize = 4_096;

/// The most bytes of one name: as long as a name of DNS may be.
const HOST_MAX: usize = 255;

/// What one entry of a list of nodes stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// One node: a host name or an address, and a port.
    Host {
        /// A name to be looked up, or an address.
        host: String,
        /// Its port.
        port: u16,
    },
    /// A node at each address that a name has.
    Each {
        /// The name.
        host: String,
        /// The port of all of them.
        port: u16,
    },
    /// Whichever nodes make themselves known, at addresses that match.
    Found {
        /// Which addresses.
        pattern: Pattern,
        /// The port that they are asked at.
        port: u16,
    },
}

/// Addresses of IPv4 in which some numbers may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern([Option<u8>; 4]);

impl Pattern {
    /// Matches every address, also of IPv6.
    pub const ANY: Self = Self([None; 4]);

    /// Whether an address matches.
    pub fn matches(self, address: IpAddr) -> bool {
        if self == Self::ANY {
            return true;
        }
        let IpAddr::V4(address) = address.to_canonical() else {
            return false;
        };
        let numbers = self.0.into_iter().zip(address.octets());
        numbers
            .into_iter()
            .all(|(wanted, number)| wanted.is_none_or(|wanted| wanted == number))
    }

    /// Where all that match can be reached at once; the last part is taken to be that of
    /// the hosts of one network.
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from(self.0.map(|number| number.unwrap_or(255)))
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::ANY);
        }
        let mut parts = text.split('.');
        let mut numbers = [None; 4];
        for number in &mut numbers {
            let part = parts.next()?;
            *number = if part == "*" {
                None
            } else {
                Some(part.parse().ok()?)
            };
        }
        parts.next().is_none().then_some(Self(numbers))
    }
}

impl Target {
    /// How users know it.
    pub fn name(&self) -> String {
        match self {
            Self::Host { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Host { host, port } => format!("{host}:{port}"),
            Self::Each { host, port } if host.contains(':') => format!("dns:[{host}]:{port}"),
            Self::Each { host, port } => format!("dns:{host}:{port}"),
            Self::Found { pattern, port } => {
                let text = pattern
                    .0
                    .map(|number| number.map_or("*".into(), |n| n.to_string()));
                let text = if *pattern == Pattern::ANY {
                    "*".into()
                } else {
                    text.join(".")
                };
                format!("{text}:{port}")
            }
        }
    }
}

/// A name that stands for no node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is there.
    #[error("an empty name of a node")]
    Empty,
    /// The port is no port.
    #[error("{name:?} names no node: {port:?} is no port; those are 1 to 65535")]
    Port {
        /// All of it.
        name: String,
        /// What should be a port.
        port: String,
    },
    /// The brackets hold no range.
    #[error(
        "{name:?} names no nodes: {range:?} is no range; write node-[1-16] or node-[01,03,07-12]"
    )]
    Range {
        /// All of it.
        name: String,
        /// What should be a range.
        range: String,
    },
    /// The range is too large.
    #[error("{name:?} names more than {RANGE_MAX} nodes")]
    TooMany {
        /// All of it.
        name: String,
    },
    /// No name is as long.
    #[error("a name of a node that begins with {start:?} is too long: {max} bytes are the most")]
    TooLong {
        /// How it begins.
        start: String,
        /// How long it may be.
        max: usize,
    },
    /// An asterisk is where it means nothing.
    #[error(
        "{name:?} names no nodes: an asterisk stands for a number of an address of IPv4, \
         as in 192.168.1.*, or alone for all nodes that can be found"
    )]
    Wildcard {
        /// All of it.
        name: String,
    },
    /// There is a character that no name has.
    #[error("{name:?} names no node: {found:?} is in no name of a host")]
    Character {
        /// All of it.
        name: String,
        /// The first that should not be there.
        found: char,
    },
}

/// The nodes that an entry of a list stands for: `node-1`, `node-1:60001`, `10.0.0.7`,
/// `::1`, `[::1]:60001`, `node-[1-16]`, `dns:workers.example`, `*`, `192.168.1.*`.
///
/// # Errors
/// [`NameError`].
pub fn parse(name: &str) -> Result<Vec<Target>, NameError> {
    let text = name.trim();
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    check_length(text, ENTRY_MAX)?;
    if let Some(host) = text.strip_prefix("dns:") {
        let (host, port) = split_port(name, host)?;
        check_host(name, host)?;
        let host = host.to_owned();
        return Ok(vec![Target::Each { host, port }]);
    }
    let (host, port) = split_port(name, text)?;
    if host.contains('*') {
        let pattern = Pattern::parse(host).ok_or_else(|| NameError::Wildcard {
            name: name.to_owned(),
        })?;
        return Ok(vec![Target::Found { pattern, port }]);
    }
    let hosts = expand(name, host)?;
    hosts
        .into_iter()
        .map(|host| {
            check_host(name, &host)?;
            Ok(Target::Host { host, port })
        })
        .collect()
}

/// Takes the port off, where there is one.
fn split_port<'a>(name: &str, text: &'a str) -> Result<(&'a str, u16), NameError> {
    if is_ipv6(text) {
        return Ok((text, DEFAULT_PORT));
    }
    if let Some(rest) = text.strip_prefix('[')
        && let Some((host, rest)) = rest.split_once(']')
        && is_ipv6(host)
    {
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, parse_port(name, port)?)),
            None if rest.is_empty() => Ok((host, DEFAULT_PORT)),
            None => Err(NameError::Port {
                name: name.to_owned(),
                port: rest.to_owned(),
            }),
        };
    }
    match text.split_once(':') {
        Some((host, port)) => Ok((host, parse_port(name, port)?)),
        None => Ok((text, DEFAULT_PORT)),
    }
}

/// Whether it is an address of IPv6, perhaps with a zone, as in `fe80::1%eth0`.
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "none"));
    !zone.is_empty() && address.parse::<Ipv6Addr>().is_ok()
}

fn parse_port(name: &str, port: &str) -> Result<u16, NameError> {
    let parsed = port.parse().ok().filter(|&port| port > 0);
    parsed.ok_or_else(|| NameError::Port {
        name: name.to_owned(),
        port: port.to_owned(),
    })
}

fn check_length(text: &str, max: usize) -> Result<(), NameError> {
    if text.len() <= max {
        return Ok(());
    }
    Err(NameError::TooLong {
        start: text.chars().take(20).collect(),
        max,
    })
}

fn check_host(name: &str, host: &str) -> Result<(), NameError> {
    if host.is_empty() {
        return Err(NameError::Empty);
    }
    check_length(host, HOST_MAX)?;
    let is_allowed = |c: char| c.is_alphanumeric() || "-._:%".contains(c);
    match host.chars().find(|&c| !is_allowed(c)) {
        None => Ok(()),
        Some(found) => Err(NameError::Character {
            name: name.to_owned(),
            found,
        }),
    }
}

/// Writes out the ranges in a name.
fn expand(name: &str, host: &str) -> Result<Vec<String>, NameError> {
    let Some((before, rest)) = host.split_once('[') else {
        return Ok(vec![host.to_owned()]);
    };
    let fault = |range: &str| NameError::Range {
        name: name.to_owned(),
        range: range.to_owned(),
    };
    let (range, after) = rest.split_once(']').ok_or_else(|| fault(rest))?;
    let ends = expand(name, after)?;
    for end in &ends {
        check_length(end, HOST_MAX)?;
    }
    let mut all = Vec::new();
    for part in range.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let width = if first.starts_with('0') {
            first.len()
        } else {
            0
        };
        let number = |text: &str| text.parse::<usize>().map_err(|_| fault(part));
        let (first, last) = (number(first)?, number(last)?);
        if last < first {
            return Err(fault(part));
        }
        if (last - first).saturating_mul(ends.len()) + all.len() >= RANGE_MAX {
            return Err(NameError::TooMany {
                name: name.to_owned(),
            });
        }
        for number in first..=last {
            all.extend(
                ends.iter()
                    .map(|end| format!("{before}{number:0width$}{end}")),
            );
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        parse(text).unwrap().iter().map(Target::name).collect()
    }

    #[test]
    fn hosts_and_addresses_have_a_port() {
        assert_eq!(names("node-1"), ["node-1:60000"]);
        assert_eq!(names(" node-1:7 "), ["node-1:7"]);
        assert_eq!(names("10.0.0.7:60001"), ["10.0.0.7:60001"]);
        assert_eq!(names("::1"), ["[::1]:60000"]);
        assert_eq!(names("[::1]:7"), ["[::1]:7"]);
        assert_eq!(names("[fe80::1%eth0]"), ["[fe80::1%eth0]:60000"]);
        assert_eq!(names("fe80::1%eth0"), ["[fe80::1%eth0]:60000"]);
        assert_eq!(names("dns:workers.example:9"), ["dns:workers.example:9"]);
        assert_eq!(names("dns:::1"), ["dns:[::1]:60000"]);
        assert_eq!(names("dns:[::1]:7"), ["dns:[::1]:7"]);
    }

    #[test]
    fn ranges_are_written_out() {
        assert_eq!(names("n-[1-3]:9"), ["n-1:9", "n-2:9", "n-3:9"]);
        assert_eq!(
            names("n[08-10,12]"),
            ["n08:60000", "n09:60000", "n10:60000", "n12:60000"]
        );
        assert_eq!(names("r[1-2]-n[1-2].x").len(), 4);
        assert_eq!(names("r[1-2]-n[1-2].x")[2], "r2-n1.x:60000");
    }

    #[test]
    fn asterisks_stand_for_what_can_be_found() {
        let found = |text: &str| match parse(text).unwrap().remove(0) {
            Target::Found { pattern, .. } => pattern,
            other => panic!("{other:?}"),
        };
        let local = found("192.168.1.*");
        assert!(local.matches("192.168.1.9".parse().unwrap()));
        assert!(local.matches("::ffff:192.168.1.9".parse().unwrap()));
        assert!(!local.matches("192.168.2.9".parse().unwrap()));
        assert!(!local.matches("::1".parse().unwrap()));
        assert_eq!(local.broadcast().to_string(), "192.168.1.255");
        assert!(found("*:7").matches("::1".parse().unwrap()));
        assert_eq!(names("10.*.*.*:7"), ["10.*.*.*:7"]);
    }

    #[test]
    fn what_names_nothing_says_so() {
        let fault = |text: &str| parse(text).unwrap_err().to_string();
        for text in ["", " ", "dns:", ":60000"] {
            assert!(fault(text).contains("empty"), "{text}");
        }
        for text in [
            "n:0", "n:65536", "n:x", "[::1]x", "n:", "n:1:2", "[a:b:c]", "fe80::1%",
        ] {
            assert!(fault(text).contains("port"), "{text}: {}", fault(text));
        }
        for text in ["n[1-", "n[3-1]", "n[a-b]", "n[]"] {
            assert!(fault(text).contains("range"), "{text}: {}", fault(text));
        }
        assert!(fault("n[1-70000]").contains("more than"));
        assert!(fault("n[1-60000][1-60000]").contains("more than"));
        assert!(fault("n*").contains("asterisk") && fault("1.2.*").contains("asterisk"));
        // Found by fuzzing: each made a name, of any length, or a panic.
        let zeros = format!("n[{}1]", "0".repeat(70_000));
        let long = format!("n{}", "[1]".repeat(300));
        for text in [zeros, long, "n".repeat(256)] {
            assert!(fault(&text).contains("too long"), "{}", text.len());
        }
        assert!(fault("a b").contains("' '"));
        assert!(fault("n]").contains("']'"));
    }
}
