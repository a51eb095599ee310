//! The API that a client speaks, by the path that its request asks for: a refusal below `/proxy/` has the form of that API
//! also where no route has seen the request.

/// Below it each API has its place.
const PLACE: &str = "/proxy/";
/// The most bytes of a request line that are looked at for its path.
const MOST: usize = 1024;

/// An API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    /// That of this service, or it is not known.
    Ours,
    Anthropic,
    Cloudflare,
    /// One that an administrator opened.
    Opened,
}

impl Speaks {
    /// All of them, by the number that stands for each.
    const ALL: [Self; 4] = [Self::Ours, Self::Anthropic, Self::Cloudflare, Self::Opened];

    pub(super) fn of_path(path: &str) -> Self {
        let Some(rest) = path.strip_prefix(PLACE) else {
            return Self::Ours;
        };
        match rest.split(['/', '?']).next() {
            Some("anthropic") => Self::Anthropic,
            Some("cloudflare") => Self::Cloudflare,
            _ => Self::Opened,
        }
    }

    /// By a head, or as much of it as has come.
    pub(super) fn of_head(bytes: &[u8]) -> Self {
        let bytes = bytes.get(..bytes.len().min(MOST)).unwrap_or_default();
        let mut words = bytes.trim_ascii_start().split(|byte| *byte == b' ');
        let target = words.nth(1).and_then(|word| std::str::from_utf8(word).ok());
        let Some(target) = target else {
            return Self::Ours;
        };
        // The absolute form (RFC 9112, section 3.2.2).
        let rest = target.split_once("://").map(|(_, rest)| rest);
        let path = rest.map_or(target, |rest| {
            rest.find('/')
                .and_then(|at| rest.get(at..))
                .unwrap_or_default()
        });
        Self::of_path(path)
    }

    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Ours => 0,
            Self::Anthropic => 1,
            Self::Cloudflare => 2,
            Self::Opened => 3,
        }
    }

    pub(super) fn numbered(number: u8) -> Self {
        let found = Self::ALL.get(usize::from(number));
        found.copied().unwrap_or(Self::Ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_says_which_api_is_spoken_however_the_target_is_written() {
        for (head, expected) in [
            (
                "POST /proxy/anthropic/v1/messages HTTP/1.1\r\n",
                Speaks::Anthropic,
            ),
            (
                "\r\nGET /proxy/cloudflare?x HTTP/1.1\r\n",
                Speaks::Cloudflare,
            ),
            (
                "GET http://a.example/proxy/github/x HTTP/1.1\r\n",
                Speaks::Opened,
            ),
            ("GET /proxy/anthropic/v1/mess", Speaks::Anthropic),
            ("GET /v1/approvals HTTP/1.1\r\n", Speaks::Ours),
            ("GET", Speaks::Ours),
            ("\u{16}\u{3}", Speaks::Ours),
        ] {
            assert_eq!(Speaks::of_head(head.as_bytes()), expected, "{head:?}");
            assert_eq!(Speaks::numbered(expected.number()), expected);
        }
    }
}
