//! Keys of entries: which images they are for.

/// The default registry by the name that images have, and the others it goes by.
const DOCKER_HUB: &str = "index.docker.io";
const DOCKER_HUB_ALIASES: [&str; 2] = ["docker.io", "registry-1.docker.io"];

/// How specific a match is: greater is better.
///
/// Whether the path ends with a segment of the image's, its length, the literal characters of the host, and whether
/// a helper answers for it: docker asks its helper before it looks at an entry for the host.
pub(super) type Rank = (bool, usize, usize, bool);

/// A host, with wildcards, perhaps a port, and the beginning of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    host: String,
    port: Option<String>,
    path: String,
}

impl Pattern {
    /// Reads a key such as `registry.example.com`, `*.example.com:5000/team` or
    /// `https://index.docker.io/v1/`; `None` where it cannot be one.
    pub(super) fn parse(key: &str) -> Option<Self> {
        let key =
            key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
        if key.contains(['@', '#', '\\'])
            || key.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            return None;
        }
        let (authority, path) = key.find('/').map_or((key, ""), |slash| key.split_at(slash));
        let (host, port) = split_port(authority);
        if host.is_empty() {
            return None;
        }
        Some(Self {
            host: canonical(host),
            port: port.map(str::to_owned),
            path: api_stripped(path),
        })
    }

    /// How well it fits, where it does.
    ///
    /// Kubernetes takes `/team/app` for the beginning of `/team/apple` too. So do we, after all that end
    /// with a segment.
    pub(super) fn matches(&self, registry: &str, repository: &str) -> Option<Rank> {
        let path = format!("/{repository}");
        let rest = path.strip_prefix(self.path.as_str())?;
        let whole = rest.is_empty() || rest.starts_with('/') || self.path.ends_with('/');
        self.fits_host(registry).then(|| (whole, self.path.len(), self.literals(), false))
    }

    /// As [`Pattern::matches`] for a key that has no path to speak of: those of helpers.
    pub(super) fn matches_host(&self, registry: &str) -> Option<Rank> {
        self.fits_host(registry).then(|| (true, 0, self.literals(), true))
    }

    fn fits_host(&self, registry: &str) -> bool {
        let (host, port) = split_port(registry);
        self.port.as_deref() == port && hosts_match(&self.host, &canonical(host))
    }

    fn literals(&self) -> usize {
        self.host.chars().filter(|c| !matches!(c, '*' | '?')).count()
    }
}

/// How docker names a registry to its credential helpers.
pub(super) fn helper_server(registry: &str) -> String {
    let (host, port) = split_port(registry);
    if port.is_none() && canonical(host) == DOCKER_HUB {
        return format!("https://{DOCKER_HUB}/v1/");
    }
    registry.to_owned()
}

/// Docker took `/v1/` and `/v2/` for the interface of a registry, never for a path in it.
fn api_stripped(path: &str) -> String {
    let stripped = match path.get(..3) {
        Some("/v1" | "/v2") if path.len() == 3 || path[3..].starts_with('/') => &path[3..],
        _ => path,
    };
    if stripped == "/" { String::new() } else { stripped.to_owned() }
}

fn canonical(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    if DOCKER_HUB_ALIASES.contains(&host.as_str()) { DOCKER_HUB.to_owned() } else { host }
}

/// Splits `HOST:PORT`; the colons of a bracketed IPv6 address belong to the host.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Wildcards stay within one part: `*.example.com` is not for `a.b.example.com`.
fn hosts_match(pattern: &str, host: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('.'), host.split('.'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if part_matches(pattern.as_bytes(), part.as_bytes()) => {}
            _ => return false,
        }
    }
}

/// `*` for any characters, `?` for one; each `*` is widened only while what follows does not fit.
fn part_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    t = from + 1;
                    star = Some((at, t));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}
