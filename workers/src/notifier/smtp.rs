//! One message, handed to a mail server (RFC 5321). Every step has its time and every reply its bound; nothing that the
//! server says is repeated, but for the codes of its replies.

#[cfg(test)]
mod tests;

use super::mail_server::{MailAddress, MailServer, Security};
use super::{Text, email};
use crate::callback::connector::Connector;
use crate::callback::{AttemptFailure, AttemptOutcome, FailureCode};
use crate::question::Question;
use ledger::{DeliveryId, Timestamp};
use lettre::transport::smtp::authentication::DEFAULT_MECHANISMS;
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Rcpt, Starttls};
use lettre::transport::smtp::extension::{ClientId, Extension, ServerInfo};
use lettre::transport::smtp::{Error, response::Response};
use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
    Chain, ReadBuf, ReadHalf, Take, WriteHalf,
};
use tokio::net::TcpStream;

/// The most that a server may say in a session.
const MOST_SAID: u64 = 64 * 1024;
/// How long the last words may take: the message has been taken by then.
const FAREWELL: Duration = Duration::from_secs(1);
/// Stands for the greeting of a server that gave it before TLS.
const GREETING_GIVEN: &[u8] = b"220 over TLS\r\n";

/// Writes to one mailbox.
#[derive(Debug, Clone)]
pub(crate) struct Mailer {
    pub(super) server: MailServer,
    pub(super) from: MailAddress,
    pub(super) to: MailAddress,
    pub(super) connector: Connector,
}

impl Mailer {
    /// Tells the mailbox of a question, once.
    pub(crate) async fn tell(
        &self,
        question: &Question,
        link: &str,
        delivery: DeliveryId,
        now: Timestamp,
    ) -> AttemptOutcome {
        let started = Instant::now();
        let text = Text::of(question);
        let ends = (&self.from, &self.to);
        let sent = match email::message(&text, link, ends, delivery, now) {
            Ok(message) => self.send(&message).await,
            Err(error) => Err(not_smtp(format!("the message cannot be written: {error}"))),
        };
        match sent {
            Ok(status) => AttemptOutcome::Delivered {
                status,
                duration: started.elapsed(),
            },
            Err(failure) => AttemptOutcome::Failed(failure),
        }
    }

    /// Goes as far as the message, and sends none: whether the server is reached by TLS, knows the login, and takes
    /// both addresses.
    pub(super) async fn try_addresses(&self) -> Result<(), AttemptFailure> {
        let mut session = self.address().await?;
        let _ = tokio::time::timeout(FAREWELL, session.connection.quit()).await;
        Ok(())
    }

    /// The code of the reply to the message.
    async fn send(&self, message: &[u8]) -> Result<u16, AttemptFailure> {
        let mut session = self.address().await?;
        let goes_on = session.reply("DATA", Data).await?;
        if !goes_on.has_code(354) {
            return Err(AttemptFailure::of_reply(goes_on.code().into(), "DATA"));
        }
        let sending = session.connection.message(message);
        let taken = within(session.patience, "the message", sending).await?;
        let taken = accepted("the message", taken)?;
        let _ = tokio::time::timeout(FAREWELL, session.connection.quit()).await;
        Ok(taken.code().into())
    }

    /// A session whose server has taken both addresses.
    async fn address(&self) -> Result<Session, AttemptFailure> {
        let mut session = self.open().await?;
        if let Some(credentials) = &self.server.credentials {
            let offered = session.connection.server_info();
            if offered.get_auth_mechanism(DEFAULT_MECHANISMS).is_none() {
                return Err(not_smtp(
                    "the mail server offers neither AUTH PLAIN nor LOGIN",
                ));
            }
            let auth = session.connection.auth(DEFAULT_MECHANISMS, credentials);
            accepted("AUTH", within(session.patience, "AUTH", auth).await?)?;
        }
        let from = Mail::new(Some(self.from.0.clone()), Vec::new());
        session.command("MAIL FROM", from).await?;
        let to = Rcpt::new(self.to.0.clone(), Vec::new());
        session.command("RCPT TO", to).await?;
        Ok(session)
    }

    async fn open(&self) -> Result<Session, AttemptFailure> {
        let (host, patience) = (&self.server.host, self.connector.answer_timeout());
        let tcp = self.connector.tcp(host, self.server.port).await?;
        let ends = Ends::of(&tcp).map_err(|error| AttemptFailure::of_connect(&error))?;
        let (hello, peer) = (ends.hello(), ends.peer);
        let wire: Box<dyn AsyncTokioStream> = match self.server.security {
            Security::Plain => Box::new(Wire::new(b"", tcp, peer)),
            Security::Tls => Box::new(Wire::new(b"", self.connector.tls(host, tcp).await?, peer)),
            Security::StartTls => {
                let tcp = start_tls(tcp, &hello, patience).await?;
                let tls = self.connector.tls(host, tcp).await?;
                Box::new(Wire::new(GREETING_GIVEN, tls, peer))
            }
        };
        let greeted = AsyncSmtpConnection::connect_with_transport(wire, &hello);
        let connection = within(patience, "EHLO", greeted).await?;
        Ok(Session {
            connection,
            patience,
        })
    }
}

/// A server that has said what it can do.
struct Session {
    connection: AsyncSmtpConnection,
    /// For each reply.
    patience: Duration,
}

impl Session {
    async fn command(&mut self, step: &str, command: impl Display) -> Result<(), AttemptFailure> {
        let reply = self.reply(step, command).await?;
        accepted(step, reply).map(drop)
    }

    async fn reply(
        &mut self,
        step: &str,
        command: impl Display,
    ) -> Result<Response, AttemptFailure> {
        within(self.patience, step, self.connection.command(command)).await
    }
}

/// Goes as far as STARTTLS in the clear. Whatever comes after the reply to it came from somebody on the way, who would
/// have it taken for the server's over TLS.
async fn start_tls(
    tcp: TcpStream,
    hello: &ClientId,
    patience: Duration,
) -> Result<TcpStream, AttemptFailure> {
    let mut stream = BufReader::new(tcp.take(MOST_SAID));
    let asked = exchange(&mut stream, None);
    accepted(
        "the connection",
        within(patience, "the connection", asked).await?,
    )?;
    let asked = exchange(&mut stream, Some(Ehlo::new(hello.clone()).to_string()));
    let offered = accepted("EHLO", within(patience, "EHLO", asked).await?)?;
    let can = ServerInfo::from_response(&offered);
    if !can.is_ok_and(|can| can.supports_feature(Extension::StartTls)) {
        return Err(AttemptFailure::without_answer(
            FailureCode::TlsFailed,
            "the mail server does not offer STARTTLS",
        ));
    }
    let asked = exchange(&mut stream, Some(Starttls.to_string()));
    accepted("STARTTLS", within(patience, "STARTTLS", asked).await?)?;
    if !stream.buffer().is_empty() {
        return Err(AttemptFailure::without_answer(
            FailureCode::TlsFailed,
            "something came in the clear after STARTTLS",
        ));
    }
    Ok(stream.into_inner().into_inner())
}

/// Sends a command, if there is one, and reads the reply to it, positive or not.
async fn exchange(
    stream: &mut BufReader<Take<TcpStream>>,
    command: Option<String>,
) -> Result<Response, io::Error> {
    if let Some(command) = command {
        let tcp = stream.get_mut().get_mut();
        tcp.write_all(command.as_bytes()).await?;
    }
    let mut reply = String::new();
    loop {
        let line = reply.len();
        if stream.read_line(&mut reply).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if reply.as_bytes().get(line + 3) != Some(&b'-') {
            return reply.parse().map_err(|_| io::ErrorKind::InvalidData.into());
        }
    }
}

fn accepted(step: &str, reply: Response) -> Result<Response, AttemptFailure> {
    let code = u16::from(reply.code());
    match code {
        200..=299 => Ok(reply),
        _ => Err(AttemptFailure::of_reply(code, step)),
    }
}

/// Why there is no reply to a step.
trait NoReply {
    fn at(self, step: &str) -> AttemptFailure;
}

impl NoReply for io::Error {
    fn at(self, step: &str) -> AttemptFailure {
        match self.kind() {
            io::ErrorKind::InvalidData => not_smtp(format!("no reply of SMTP came to {step}")),
            _ => ended(step),
        }
    }
}

impl NoReply for Error {
    fn at(self, step: &str) -> AttemptFailure {
        match self.status() {
            Some(code) => AttemptFailure::of_reply(code.into(), step),
            None if self.is_response() || self.is_client() => {
                not_smtp(format!("no reply of SMTP came to {step}"))
            }
            None => ended(step),
        }
    }
}

async fn within<T, E: NoReply>(
    patience: Duration,
    step: &str,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, AttemptFailure> {
    match tokio::time::timeout(patience, future).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => Err(error.at(step)),
        Err(_) => Err(AttemptFailure::without_answer(
            FailureCode::Timeout,
            format!("no reply to {step} from the mail server in time"),
        )),
    }
}

fn ended(step: &str) -> AttemptFailure {
    AttemptFailure::without_answer(
        FailureCode::NoAnswer,
        format!("the connection ended before a whole reply to {step} came"),
    )
}

fn not_smtp(detail: impl Into<String>) -> AttemptFailure {
    AttemptFailure::without_answer(FailureCode::MailDeferred, detail)
}

/// The addresses of a connection.
struct Ends {
    own: IpAddr,
    peer: SocketAddr,
}

impl Ends {
    fn of(tcp: &TcpStream) -> io::Result<Self> {
        Ok(Self {
            own: tcp.local_addr()?.ip().to_canonical(),
            peer: tcp.peer_addr()?,
        })
    }

    /// A client that has no name of its own gives its address (RFC 5321, section 4.1.4).
    const fn hello(&self) -> ClientId {
        match self.own {
            IpAddr::V4(v4) => ClientId::Ipv4(v4),
            IpAddr::V6(v6) => ClientId::Ipv6(v6),
        }
    }
}

/// The stream of a session, from which no more than [`MOST_SAID`] is read.
#[derive(Debug)]
struct Wire<S> {
    read: Chain<&'static [u8], Take<ReadHalf<S>>>,
    write: WriteHalf<S>,
    peer: SocketAddr,
}

impl<S: AsyncRead + AsyncWrite> Wire<S> {
    fn new(greeting: &'static [u8], stream: S, peer: SocketAddr) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self {
            read: greeting.chain(read.take(MOST_SAID)),
            write,
            peer,
        }
    }
}

impl<S> AsyncTokioStream for Wire<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug,
{
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_shutdown(cx)
    }
}
