//! What a goodfaith that runs says of itself by HTTP.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

/// Where it listens.
pub(crate) struct Web {
    address: String,
}

impl Web {
    /// A port nobody listens on, to be told to a process by [`Self::setting`].
    pub(crate) fn free() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { address: listener.local_addr().unwrap().to_string() }
    }

    /// Has a process listen here.
    pub(crate) fn setting(&self) -> String {
        format!("http.listen={}", self.address)
    }

    /// Does what is asked at `path` hold?
    pub(crate) fn passes(&self, path: &str) -> bool {
        self.get(path).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// The whole answer.
    ///
    /// # Errors
    /// If nobody answers.
    pub(crate) fn get(&self, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}
