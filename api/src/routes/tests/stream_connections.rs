//! The live stream on real connections.

use crate::problem::ApiError;
use crate::schemes::{self, Head, Identity, Scheme};
use crate::server::{Server, Timeouts, listen};
use crate::testing::{AGENT, PATIENCE, SERVICE_TOKEN, Stage};
use app::{Principal, ServiceToken, Who};
use fixtures::process::in_own_process;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The surface on a port of its own.
struct Served {
    stage: Stage,
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Served {
    async fn new(connections: usize, timeouts: Timeouts) -> Self {
        Self::on(Stage::new().await, connections, timeouts).await
    }

    async fn on(stage: Stage, connections: usize, timeouts: Timeouts) -> Self {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (router, stopping) = (stage.router.clone(), stop.clone());
        let server = Server::new(connections, timeouts);
        let serving = tokio::spawn(async move { server.serve(listener, router, stopping).await });
        Self {
            stage,
            address,
            stop,
            serving,
        }
    }

    /// A stream whose first message has come.
    async fn stream(&self) -> TcpStream {
        self.stream_of("nobody").await
    }

    /// The same, of a name that [`Crowd`] counts for.
    async fn stream_of(&self, name: &str) -> TcpStream {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "GET /v1/stream HTTP/1.1\r\nhost: localhost\r\n\
             authorization: Bearer {SERVICE_TOKEN}\r\nx-name: {name}\r\n\r\n"
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        read_until(&mut connection, "data: []\n\n").await;
        connection
    }
}

/// Reads until the text has come; gives everything up to then.
async fn read_until(connection: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    let reading = async {
        loop {
            let mut piece = [0; 1024];
            let count = connection.read(&mut piece).await.unwrap();
            assert!(count > 0, "it ended: {}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&piece[..count]);
            let so_far = String::from_utf8_lossy(&read);
            if so_far.contains(text) {
                return so_far.into_owned();
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap()
}

/// What comes until the other side ends the connection.
async fn rest(mut connection: TcpStream) -> String {
    let mut rest = Vec::new();
    let reading = connection.read_to_end(&mut rest);
    // However the connection ends.
    drop(tokio::time::timeout(PATIENCE, reading).await.unwrap());
    String::from_utf8_lossy(&rest).into_owned()
}

#[tokio::test]
async fn a_quiet_stream_outlives_connections_at_rest() {
    let timeouts = Timeouts {
        idle: Duration::from_millis(100),
        ..Timeouts::default()
    };
    let served = Served::new(16, timeouts).await;
    let mut stream = served.stream().await;
    // Two that come later and say nothing are closed one after the other.
    for _ in 0..2 {
        let idle = TcpStream::connect(served.address).await.unwrap();
        assert_eq!(rest(idle).await, "");
    }
    let (issued, _) = served.stage.task(AGENT).await;
    read_until(&mut stream, &issued.task.id.to_string()).await;
}

#[tokio::test]
async fn a_stream_makes_room_for_others() {
    let served = Served::new(1, Timeouts::default()).await;
    let stream = served.stream().await;
    let other = served.stream().await;
    assert_eq!(rest(stream).await, "", "cut, to be taken up again");
    drop(other);
}

#[tokio::test]
async fn streams_do_not_hold_up_the_end() {
    let served = Served::new(16, Timeouts::default()).await;
    let streams = [served.stream().await, served.stream().await];
    served.stop.cancel();
    served.stage.state.app.ending.cancel();
    // All of a stream: its last chunk has come.
    for stream in streams {
        assert_eq!(rest(stream).await, "0\r\n\r\n");
    }
    let ended = tokio::time::timeout(Timeouts::default().ending, served.serving);
    ended.await.unwrap().unwrap().unwrap();
}

/// The service token of many, each counted for itself.
struct Crowd;

impl Scheme for Crowd {
    fn proves(&self, who: Who) -> bool {
        matches!(who, Who::User(_))
    }

    fn identify(&self, head: &mut Head<'_>) -> Result<Identity, ApiError> {
        let name = head.header("x-name").unwrap_or_default().into();
        head.count_for(name)?;
        let fingerprint = [0; 8];
        Ok(Identity::Proven(Principal::Service(ServiceToken {
            fingerprint,
        })))
    }
}

/// The memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() * 1024
}

/// Streams that this process may open, with both of their ends in it.
fn streams() -> u32 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    soft.map_or(1000, |soft: u32| (soft.saturating_sub(200) / 2).min(1000))
}

/// Says when the message with that id, or a later one, has come.
async fn receipts(mut stream: TcpStream, times: mpsc::UnboundedSender<(u64, Instant)>) {
    let mut text = String::new();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece).await.unwrap();
        let now = Instant::now();
        if count == 0 {
            return;
        }
        text.push_str(std::str::from_utf8(&piece[..count]).unwrap());
        while let Some((message, rest)) = text.split_once("\n\n") {
            let id = message.split_once("id: ").map(|(_, id)| id);
            let id = id.and_then(|id| id.lines().next()?.parse().ok());
            // At the end nobody waits any more.
            if id.is_some_and(|id| times.send((id, now)).is_err()) {
                return;
            }
            text = rest.to_owned();
        }
    }
}

#[test]
fn a_thousand_streams_cost_little_and_hear_of_a_commit_at_once() {
    const NAME: &str = "routes::tests::stream_connections::\
                        a_thousand_streams_cost_little_and_hear_of_a_commit_at_once";
    in_own_process(NAME, || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(a_thousand_streams());
    });
}

async fn a_thousand_streams() {
    let mut schemes = schemes::all();
    schemes.insert(0, Box::new(Crowd));
    let stage = Stage::with_schemes(schemes).await;
    let served = Served::on(stage, 2000, Timeouts::default()).await;
    served.stage.task(AGENT).await;
    let before = resident();
    let (times, mut received) = mpsc::unbounded_channel();
    let count = streams();
    for number in 0..count {
        let stream = served.stream_of(&(number / 64).to_string()).await;
        tokio::spawn(receipts(stream, times.clone()));
    }
    assert_eq!(served.stage.state.app.feed.watching(), count as usize);
    let each = (resident() - before) / u64::from(count);

    let mut waits = Vec::new();
    for _ in 0..20 {
        served.stage.task(AGENT).await;
        let committed = Instant::now();
        let size = *served.stage.state.app.ledger.size().borrow();
        let mut left = count;
        while left > 0 {
            let next = tokio::time::timeout(PATIENCE, received.recv());
            let (id, at) = next.await.unwrap().unwrap();
            if id >= size {
                waits.push(at.saturating_duration_since(committed));
                left -= 1;
            }
        }
    }
    waits.sort_unstable();
    let [median, p99] = [50, 99].map(|part| waits[waits.len() * part / 100]);
    println!("{count} streams: {each} bytes each with both ends, median {median:?}, p99 {p99:?}");
    assert!(each < 128 * 1024, "{each} bytes each");
    assert!(p99 < Duration::from_secs(2), "{p99:?}");
}
