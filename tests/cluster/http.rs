//! Blocking requests over plain HTTP on the loopback: enough to ask the lane's own servers.

use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer: its status and its body.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// Fetches `http://HOST:PORT/PATH`, with more headers where wanted (a `Host` header replaces the address).
pub fn get(url: &str, headers: &[(&str, &str)]) -> Result<Reply> {
    send("GET", url, headers, "")
}

/// Sends a request with a body.
pub fn send(method: &str, url: &str, headers: &[(&str, &str)], sent: &str) -> Result<Reply> {
    let rest = url.strip_prefix("http://").with_context(|| format!("{url} is no http:// address"))?;
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    let target = if address.contains(':') { address.to_owned() } else { format!("{address}:80") };
    let mut stream = TcpStream::connect(&target).with_context(|| format!("{target} answers no connection"))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let named = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
    let mut request = format!("{method} /{path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", sent.len());
    if !named {
        request.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{request}\r\n{sent}").as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).with_context(|| format!("{url} broke off"))?;
    parse(&bytes).with_context(|| format!("{url} gave no HTTP answer"))
}

/// The body of a GET that must answer 200.
pub fn get_ok(url: &str) -> Result<String> {
    let reply = get(url, &[])?;
    ensure!(reply.status == 200, "{url} answered {}: {}", reply.status, reply.body.trim());
    Ok(reply.body)
}

fn parse(bytes: &[u8]) -> Result<Reply> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").context("no end of headers")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status line")?.parse()?;
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = &bytes[end + 4..];
    let body = if chunked { dechunk(body)? } else { body.to_vec() };
    Ok(Reply { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

fn dechunk(mut bytes: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|w| w == b"\r\n").context("a chunk without its size")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end])?.trim(), 16)?;
        let data = bytes.get(end + 2..end + 2 + size).context("a chunk broke off")?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(data);
        bytes = bytes.get(end + 4 + size..).context("a chunk without its end")?;
    }
}

/// A query parameter's value, percent-encoded.
pub fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
