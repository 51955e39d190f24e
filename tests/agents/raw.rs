//! A client of NATS that says exactly what a test wants said.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub struct Raw {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

/// What came from the server.
#[derive(Debug)]
pub enum Heard {
    Message { reply: Option<String>, body: Vec<u8> },
    Error(String),
}

impl Raw {
    /// Connects, and subscribes to each of `subjects`; the server has taken them in when this returns.
    pub fn connect(port: u16, user: &str, password: &str, subjects: &[&str]) -> Raw {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        let connect = serde_json::json!({ "verbose": false, "user": user, "pass": password });
        write!(stream, "CONNECT {connect}\r\n").unwrap();
        for (id, subject) in subjects.iter().enumerate() {
            write!(stream, "SUB {subject} {}\r\n", id + 1).unwrap();
        }
        let mut raw = Raw { stream, lines };
        raw.flush();
        raw
    }

    pub fn publish(&mut self, subject: &str, body: &[u8]) {
        let head = format!("PUB {subject} {}\r\n", body.len());
        self.stream.write_all(&[head.as_bytes(), body, b"\r\n"].concat()).unwrap();
    }

    /// Waits until the server has done all it was asked; an error that it has said meanwhile.
    pub fn flush(&mut self) -> Option<String> {
        self.stream.write_all(b"PING\r\n").unwrap();
        let mut error = None;
        loop {
            let line = self.line();
            match line.split_once(' ') {
                None if line == "PONG" => return error,
                Some(("-ERR", words)) => error = Some(words.to_owned()),
                _ => {}
            }
        }
    }

    /// The next message or error.
    pub fn hear(&mut self) -> Heard {
        loop {
            let line = self.line();
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (reply, size) = match fields[..] {
                ["MSG", _, _, size] => (None, size),
                ["MSG", _, _, reply, size] => (Some(reply.to_owned()), size),
                ["-ERR", ..] => return Heard::Error(line),
                ["PING"] => {
                    self.stream.write_all(b"PONG\r\n").unwrap();
                    continue;
                }
                _ => continue,
            };
            let mut body = vec![0; size.parse::<usize>().unwrap() + 2];
            self.lines.read_exact(&mut body).unwrap();
            body.truncate(body.len() - 2);
            return Heard::Message { reply, body };
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "the server hung up");
        line.trim_end().to_owned()
    }
}
