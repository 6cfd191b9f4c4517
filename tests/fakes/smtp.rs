//! A mail server: real conversations, in the clear, with STARTTLS or with TLS from the first byte, and AUTH PLAIN and LOGIN.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::Watched;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Mode {
    Ok,
    /// The answer to `RCPT TO` of this address (of every one when empty): `550 no such user`.
    Rcpt(String, &'static str),
    /// The answer to the mail itself: `451 try later`.
    Data(&'static str),
    /// Takes the next mail and closes the connection without an answer, once.
    AcceptThenCut,
    /// Takes the mail and never answers; the connection stays.
    Stall,
    /// Hangs up before the greeting.
    Down,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Security {
    Plain,
    StartTls,
    Implicit,
}

#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// Headers and body as they came, dots undone.
    pub(crate) text: String,
    pub(crate) encrypted: bool,
    pub(crate) came: Instant,
    /// User and password, decoded.
    pub(crate) login: Option<(String, String)>,
}

impl Mail {
    /// A header's value, unfolded; empty when absent.
    pub(crate) fn header(&self, name: &str) -> String {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ").replace("\r\n\t", " ");
        let found = head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        });
        found.unwrap_or_default()
    }
}

#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) mode: Mode,
    pub(crate) mails: Vec<Mail>,
}

#[derive(Clone)]
pub(crate) struct Smtp {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Watched<Seen>,
    /// The certificate of `localhost`, for the client's `ca_file`.
    pub(crate) certificate_pem: String,
}

impl Smtp {
    pub(crate) async fn start(security: Security) -> Smtp {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a name for a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("the key belongs to the certificate");
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let smtp = Smtp {
            address,
            seen: Watched::new(Seen { mode: Mode::Ok, mails: vec![] }),
            certificate_pem: made.cert.pem(),
        };
        let server = smtp.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if server.seen.see(|seen| seen.mode == Mode::Down) {
                    continue;
                }
                let (server, acceptor) = (server.clone(), acceptor.clone());
                tokio::spawn(async move { server.connection(stream, &acceptor, security).await });
            }
        });
        smtp
    }

    /// `localhost:PORT`, the name that the certificate is for.
    pub(crate) fn smarthost(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.seen.change(|seen| seen.mode = mode);
    }

    async fn connection(&self, stream: TcpStream, acceptor: &TlsAcceptor, security: Security) -> std::io::Result<()> {
        if security == Security::Implicit {
            let mut talk =
                Talk { stream: BufReader::new(acceptor.accept(stream).await?), encrypted: true, login: None };
            talk.say("220 fake").await?;
            return talk.run(self, false).await.map(|_| ());
        }
        let mut talk = Talk { stream: BufReader::new(stream), encrypted: false, login: None };
        talk.say("220 fake").await?;
        if talk.run(self, security == Security::StartTls).await? {
            let stream = acceptor.accept(talk.stream.into_inner()).await?;
            let mut talk = Talk { stream: BufReader::new(stream), encrypted: true, login: None };
            talk.run(self, false).await?;
        }
        Ok(())
    }
}

struct Talk<S> {
    stream: BufReader<S>,
    encrypted: bool,
    login: Option<(String, String)>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    async fn say(&mut self, line: &str) -> std::io::Result<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }

    async fn hear(&mut self) -> std::io::Result<Option<String>> {
        let mut line = String::new();
        // A line has a bound in SMTP; data lines of ours are far below it.
        let read = (&mut self.stream).take(64 << 10).read_line(&mut line).await?;
        Ok((read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// Until the client leaves (false) or asks for TLS (true).
    async fn run(&mut self, smtp: &Smtp, offer_tls: bool) -> std::io::Result<bool> {
        let (mut from, mut to) = (String::new(), Vec::new());
        while let Some(line) = self.hear().await? {
            let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match word.as_str() {
                "EHLO" if offer_tls => self.say("250-fake\r\n250 STARTTLS").await?,
                "EHLO" => self.say("250-fake\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN").await?,
                "STARTTLS" if offer_tls => {
                    self.say("220 go ahead").await?;
                    return Ok(true);
                }
                "AUTH" => self.authenticate(&line).await?,
                "MAIL" => {
                    from = address(&line);
                    to = Vec::new();
                    self.say("250 ok").await?;
                }
                "RCPT" => {
                    let address = address(&line);
                    let refusal = smtp.seen.see(|seen| match &seen.mode {
                        Mode::Rcpt(of, answer) if of.is_empty() || *of == address => Some(*answer),
                        _ => None,
                    });
                    if refusal.is_none() {
                        to.push(address);
                    }
                    self.say(refusal.unwrap_or("250 ok")).await?;
                }
                "DATA" => {
                    self.say("354 go on").await?;
                    let text = self.data().await?;
                    let mail = Mail {
                        from: from.clone(),
                        to: to.clone(),
                        text,
                        encrypted: self.encrypted,
                        came: Instant::now(),
                        login: self.login.clone(),
                    };
                    let mode = smtp.seen.change(|seen| {
                        let mode = seen.mode.clone();
                        if !matches!(mode, Mode::Data(_) | Mode::Stall) {
                            seen.mails.push(mail);
                        }
                        if mode == Mode::AcceptThenCut {
                            seen.mode = Mode::Ok;
                        }
                        mode
                    });
                    match mode {
                        Mode::Data(answer) => self.say(answer).await?,
                        Mode::AcceptThenCut => return Ok(false),
                        Mode::Stall => std::future::pending().await,
                        Mode::Ok | Mode::Rcpt(..) | Mode::Down => self.say("250 queued as 42").await?,
                    }
                }
                "RSET" | "NOOP" => self.say("250 ok").await?,
                "QUIT" => {
                    self.say("221 bye").await?;
                    return Ok(false);
                }
                _ => self.say("502 not known").await?,
            }
        }
        Ok(false)
    }

    async fn data(&mut self) -> std::io::Result<String> {
        let mut text = String::new();
        while let Some(line) = self.hear().await? {
            if line == "." {
                break;
            }
            text.push_str(line.strip_prefix('.').unwrap_or(&line));
            text.push_str("\r\n");
        }
        Ok(text)
    }

    async fn authenticate(&mut self, line: &str) -> std::io::Result<()> {
        let mut words = line.split(' ').skip(1);
        let login = match (words.next(), words.next()) {
            (Some("PLAIN"), Some(initial)) => {
                let bytes = unbase64(initial);
                let mut parts =
                    bytes.split(|byte| *byte == 0).skip(1).map(|part| String::from_utf8_lossy(part).into_owned());
                parts.next().zip(parts.next())
            }
            (Some("LOGIN"), _) => {
                self.say("334 VXNlcm5hbWU6").await?;
                let user = self.hear().await?.unwrap_or_default();
                self.say("334 UGFzc3dvcmQ6").await?;
                let password = self.hear().await?.unwrap_or_default();
                let text = |coded: &str| String::from_utf8_lossy(&unbase64(coded)).into_owned();
                Some((text(&user), text(&password)))
            }
            _ => None,
        };
        let good = login.is_some();
        self.login = login;
        self.say(if good { "235 welcome" } else { "535 wrong" }).await
    }
}

/// What stands between `<` and `>`.
fn address(line: &str) -> String {
    let from = line.find('<').map_or(0, |at| at + 1);
    let to = line.find('>').unwrap_or(line.len());
    line[from.min(to)..to].to_owned()
}

fn unbase64(text: &str) -> Vec<u8> {
    let digit =
        |byte: u8| b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".iter().position(|d| *d == byte);
    let digits: Vec<usize> = text.bytes().filter_map(digit).collect();
    let mut out = Vec::new();
    for group in digits.chunks(4) {
        let bits = group.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - group.len()));
        for place in 0..group.len().saturating_sub(1) {
            out.push((bits >> (16 - 8 * place) & 0xff) as u8);
        }
    }
    out
}
