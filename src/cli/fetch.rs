//! One GET from a service of ours: plain HTTP/1.0 over a socket, since its endpoints listen on loopback and answer with a whole
//! body. It follows no redirect and knows no TLS.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context as _, bail};

/// How long the service may take to be reached, and between two bytes.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of the longest answer read.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Status and body of `path` at the service `url`, for instance `http://127.0.0.1:9464`.
///
/// # Errors
/// If `url` is no such address, the service cannot be reached, or does not speak HTTP.
pub(super) fn get(url: &str, path: &str) -> anyhow::Result<(u16, String)> {
    let Some(authority) = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/')) else {
        bail!("{url} is no address of the service, as in http://127.0.0.1:9464");
    };
    let cannot_reach = || format!("cannot reach the service at {url}");
    let mut addresses = authority.to_socket_addrs().with_context(cannot_reach)?;
    let address = addresses.next().with_context(cannot_reach)?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).with_context(cannot_reach)?;
    stream.set_read_timeout(Some(TIMEOUT)).with_context(cannot_reach)?;
    // Of HTTP/1.0 no answer comes in chunks, and the connection ends with it.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {authority}\r\nAccept: application/json\r\n\r\n")
        .with_context(cannot_reach)?;
    let mut answer = Vec::new();
    stream.take(MAX_BYTES).read_to_end(&mut answer).with_context(cannot_reach)?;
    parse(&answer).with_context(|| format!("{url} does not answer like the service"))
}

/// Status and body of an answer.
fn parse(answer: &[u8]) -> Option<(u16, String)> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// `text` as one segment of a path.
pub(super) fn path_segment(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(
            |byte| {
                if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_and_its_body() {
        let answer = b"HTTP/1.0 404 Not Found\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(parse(answer), Some((404, "{}".to_owned())));
        assert_eq!(parse(b"SSH-2.0-OpenSSH\r\n"), None);
    }

    #[test]
    fn whatever_an_id_holds_it_stays_one_segment() {
        assert_eq!(path_segment("ada l/é?#"), "ada%20l%2F%C3%A9%3F%23");
    }
}
