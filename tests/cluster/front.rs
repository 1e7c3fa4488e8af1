//! What can be in front of a Prometheus: a delay, a password. It passes queries on to the lane's own, or answers
//! itself.

use crate::lane::PROMETHEUS_URL;
use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader, Read, Write, copy};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::spawn;

/// One query as it came.
pub struct Query {
    /// The request line and the headers, up to the empty line.
    pub head: String,
    pub body: String,
}

/// What is done with a query.
pub enum Then {
    Pass,
    /// The status line's end, and the body.
    Answer(&'static str, &'static str),
}

/// Listens for queries and asks for each what to do; gives its address.
pub fn start(rule: impl Fn(&Query) -> Then + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let rule = Arc::new(rule);
    spawn(move || {
        for client in listener.incoming().flatten() {
            let rule = Arc::clone(&rule);
            spawn(move || {
                if let Err(error) = answer(client, &*rule) {
                    println!("in front of Prometheus: {error:#}");
                }
            });
        }
    });
    address
}

fn answer(mut client: TcpStream, rule: &dyn Fn(&Query) -> Then) -> Result<()> {
    let query = Query::read(&client)?;
    if let Then::Answer(status, body) = rule(&query) {
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n");
        write!(client, "{head}Content-Length: {}\r\n\r\n{body}", body.len())?;
        return Ok(());
    }
    let mut server = TcpStream::connect(PROMETHEUS_URL.trim_start_matches("http://"))?;
    write!(server, "{}{}", query.head.replacen("\r\n", "\r\nConnection: close\r\n", 1), query.body)?;
    copy(&mut server, &mut client)?;
    Ok(())
}

impl Query {
    fn read(client: &TcpStream) -> Result<Self> {
        let (mut reader, mut head) = (BufReader::new(client), String::new());
        while !head.ends_with("\r\n\r\n") {
            ensure!(reader.read_line(&mut head)? > 0, "a request broke off: {head}");
        }
        let mut query = Self { head, body: String::new() };
        let length = query.header("content-length").context("a query without a body")?.parse()?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        query.body = String::from_utf8(body)?;
        Ok(query)
    }

    /// A header by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}
