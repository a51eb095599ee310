//! `chromedriver` on a free port of its own.

use crate::waiting::PATIENCE;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, ErrorKind, Lines, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

/// What to do on a machine that lacks one of the two.
const INSTALL: &str = "the browser tests need chromium and chromedriver on PATH, of the same version \
     (Debian: apt-get install chromium chromium-driver)";

/// Chromium's flags: no window, and nothing that talks to anybody but the service under test. The
/// sandbox refuses to work for root, as whom containers run.
const FLAGS: [&str; 8] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A running driver; dropping it ends it, after the sessions that were made with it.
pub(crate) struct Driver {
    process: Child,
    port: u16,
}

impl Driver {
    pub(crate) fn start() -> Self {
        // It chooses a port for two families of addresses, and ends where another takes one of them meanwhile.
        let mut started = (0..3).filter_map(|_| Self::try_start());
        let Some((process, port, lines)) = started.next() else {
            panic!("chromedriver ended before it listened: {INSTALL}")
        };
        // Whatever it still writes is read, so that the pipe never fills.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, port }
    }

    /// A driver that listens, and what it goes on to write.
    fn try_start() -> Option<(Child, u16, Lines<BufReader<ChildStdout>>)> {
        let spawned = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut process = match spawned {
            Ok(process) => process,
            Err(why) if why.kind() == ErrorKind::NotFound => {
                panic!("chromedriver was not found: {INSTALL}")
            }
            Err(why) => panic!("chromedriver cannot be started: {why}; {INSTALL}"),
        };
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.rsplit_once("successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        if port.is_none() {
            drop(process.wait());
        }
        Some((process, port?, lines))
    }

    /// Opens a browser with a profile of its own.
    pub(crate) async fn connect(&self, profile: &std::path::Path) -> fantoccini::Client {
        let Value::Object(capabilities) = json!({
            "goog:chromeOptions": {
                "args": FLAGS
                    .iter()
                    .map(|flag| (*flag).to_owned())
                    .chain([format!("--user-data-dir={}", profile.display())])
                    .collect::<Vec<_>>(),
            },
            "goog:loggingPrefs": {"browser": "ALL"},
            // axe goes over a long page for a while where builds take the processors.
            "timeouts": {"script": 120_000},
        }) else {
            unreachable!("a JSON object was written");
        };
        let connector = hyper_util::client::legacy::connect::HttpConnector::new();
        let mut builder = fantoccini::ClientBuilder::new(connector);
        builder.capabilities(capabilities);
        match builder.connect(&self.address()).await {
            Ok(client) => client,
            Err(why) => panic!("no browser could be opened: {INSTALL}\n{why}"),
        }
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Closes a browser without a runtime, also while a failed test unwinds: a driver that is killed
    /// leaves its browsers behind.
    pub(crate) fn close(port: u16, session: &str) {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
            return;
        };
        let request = format!(
            "DELETE /session/{session} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\
             connection: close\r\ncontent-length: 0\r\n\r\n"
        );
        drop(stream.set_read_timeout(Some(PATIENCE)));
        if stream.write_all(request.as_bytes()).is_ok() {
            // The answer comes once the browser has ended; the driver leaves the connection open.
            drop(stream.read(&mut [0; 512]));
        }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
