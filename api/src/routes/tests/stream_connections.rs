//! The live stream on real connections.

use crate::server::{Server, Timeouts, listen};
use crate::testing::{AGENT, PATIENCE, SERVICE_TOKEN, Stage};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
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
        let stage = Stage::new().await;
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
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "GET /v1/stream HTTP/1.1\r\nhost: localhost\r\n\
             authorization: Bearer {SERVICE_TOKEN}\r\n\r\n"
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
