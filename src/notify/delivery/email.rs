//! Email: a mail to each recipient for each revision, threaded by episode.
//!
//! Message ids are made from what the mail is about, so a repeat of an attempt that may have arrived is the same mail.
//! Recipients are told one by one: a refused address does not keep the mail from the others.

use std::time::{Duration, SystemTime};

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Identity, Tls, TlsParameters, TlsVersion};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use model::alert::{Intent, Progress};
use model::cause;

use crate::config::{EmailConfig, Encryption};
use crate::message::{Message, compose, one_line};
use crate::outbox::handle;
use crate::picture::Chart;
use crate::timing::Timing;

use super::context::Context;
use super::{Report, Speaker, Verdict};

mod body;

pub(crate) use body::text as plain_text;

/// Who took this revision already: `rev address address`.
const SENT_TO: &str = "mail_sent_to";

type Transport = AsyncSmtpTransport<Tokio1Executor>;

pub(super) async fn deliver(
    config: &EmailConfig,
    intent: &Intent,
    speaker: &Speaker,
    context: &Context,
    timing: &Timing,
) -> Report {
    if config.to.is_empty() {
        return Report::new(Verdict::Refused, 0, "the template of `to` gives no mail address");
    }
    let limit = Duration::from_millis(timing.attempt_timeout_ms);
    let transport = match transport(config, limit) {
        Ok(transport) => transport,
        Err(reason) => return Report::new(Verdict::Refused, 0, &reason),
    };
    let message = compose(intent, &speaker.external_url);
    // HTML of the configuration has no place for it.
    let chart = match config.html {
        None => {
            let wait = Duration::from_millis(timing.chart_wait_ms);
            context.pictures.of(&intent.instances, started_ms(intent), wait).await
        }
        Some(_) => None,
    };
    let mut done = already_told(intent);
    let mut worst: Option<Report> = None;
    let mut accepted: Option<Report> = None;
    let deadline = tokio::time::Instant::now() + limit;
    for to in &config.to {
        let address = to.email.to_string();
        if done.contains(&address) {
            continue;
        }
        let report = match mail(config, to, intent, &message, chart.as_ref(), speaker) {
            Ok(mail) => match tokio::time::timeout_at(deadline, transport.send(mail)).await {
                Ok(result) => report_of(result, &address),
                Err(_) => {
                    let words = format!("{address}: no answer within {} ms", limit.as_millis());
                    Report::new(Verdict::Transient { unsure: false }, 0, &words)
                }
            },
            Err(reason) => Report::new(Verdict::Refused, 0, &reason),
        };
        match report.verdict {
            Verdict::Accepted => {
                done.push(address);
                accepted = Some(report);
            }
            // What may pass later counts more than what is refused for good: the refused ones are tried again with it.
            _ if worst.as_ref().is_none_or(|worst| worst.verdict == Verdict::Refused) => worst = Some(report),
            _ => {}
        }
    }
    let told = format!("{} {}", intent.rev, done.join(" "));
    let mut report = match (worst, accepted) {
        (None, Some(accepted)) => accepted,
        (None, None) => Report::new(Verdict::Accepted, 250, "every recipient took it before"),
        // Somebody knows: the refused addresses are named, not retried for ever.
        (Some(refused), _) if refused.verdict == Verdict::Refused && !done.is_empty() => {
            Report { verdict: Verdict::Accepted, ..refused }
        }
        (Some(worst), _) => worst,
    };
    report.handle.push((SENT_TO.into(), told));
    report
}

fn already_told(intent: &Intent) -> Vec<String> {
    let mut words = handle(intent, SENT_TO).split(' ');
    if words.next() != Some(intent.rev.to_string().as_str()) {
        return Vec::new();
    }
    words.map(str::to_owned).collect()
}

fn report_of(
    result: Result<lettre::transport::smtp::response::Response, lettre::transport::smtp::Error>,
    address: &str,
) -> Report {
    match result {
        Ok(response) => {
            let words: Vec<&str> = response.message().collect();
            let status = response.code().to_string().parse().unwrap_or(250);
            Report::new(Verdict::Accepted, status, &format!("{address}: {}", words.join(" ")))
        }
        Err(error) => {
            let status = error.status().and_then(|code| code.to_string().parse().ok()).unwrap_or(0);
            let verdict = if error.is_permanent() || error.is_client() {
                Verdict::Refused
            } else {
                Verdict::Transient { unsure: false }
            };
            Report::new(verdict, status, &format!("{address}: {}", cause::words(&error)))
        }
    }
}

fn transport(config: &EmailConfig, timeout: Duration) -> Result<Transport, String> {
    let tls = match config.encryption {
        Encryption::None => Tls::None,
        Encryption::IfOffered => Tls::Opportunistic(tls_parameters(config)?),
        Encryption::StartTls => Tls::Required(tls_parameters(config)?),
        Encryption::Implicit => Tls::Wrapper(tls_parameters(config)?),
    };
    let mut builder = Transport::builder_dangerous(&config.host)
        .port(config.port)
        .tls(tls)
        // Of each step of the conversation (mail servers may greet slowly on purpose); the whole is bounded outside.
        .timeout(Some(timeout))
        .pool_config(PoolConfig::new().max_size(1));
    if let Some(name) = &config.hello {
        builder = builder.hello_name(ClientId::Domain(name.clone()));
    }
    if let Some((user, password)) = &config.auth {
        builder = builder.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
    }
    Ok(builder.build())
}

fn tls_parameters(config: &EmailConfig) -> Result<TlsParameters, String> {
    let tls = &config.tls;
    // The certificate's name, where it is not the host's.
    let mut builder = TlsParameters::builder(tls.server_name.clone().unwrap_or_else(|| config.host.clone()));
    if let Some(pem) = &tls.ca {
        builder = builder.certificate_store(CertificateStore::None);
        for certificate in crate::tls::certificates_of(pem).map_err(|reason| format!("ca: {reason}"))? {
            let certificate = Certificate::from_der(certificate.to_vec()).map_err(|error| format!("ca: {error}"))?;
            builder = builder.add_root_certificate(certificate);
        }
    }
    if let Some((certificates, key)) = &tls.identity {
        let identity = Identity::from_pem(certificates.as_bytes(), key.reveal().as_bytes());
        builder = builder.identify_with(identity.map_err(|error| format!("cert and key: {error}"))?);
    }
    if tls.only_13 {
        builder = builder.set_min_tls_version(TlsVersion::Tlsv13);
    }
    if tls.insecure_skip_verify {
        builder = builder.dangerous_accept_invalid_certs(true).dangerous_accept_invalid_hostnames(true);
    }
    builder.build_rustls().map_err(|error| cause::words(&error))
}

fn mail(
    config: &EmailConfig,
    to: &Mailbox,
    intent: &Intent,
    message: &Message,
    chart: Option<&Chart>,
    speaker: &Speaker,
) -> Result<lettre::Message, String> {
    let from = config.from.clone().ok_or("the template of `from` gives no mail address")?;
    let host = speaker.host();
    let address = to.email.to_string();
    let thread = format!("<{}@{host}>", speaker.key(&[&intent.receiver, &intent.scope]));
    let rev = intent.rev.to_string();
    let id = format!("<{}@{host}>", speaker.key(&[&intent.receiver, &intent.scope, &rev, &address]));
    let list = format!("<{}.{host}>", intent.receiver.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
    let mut builder = lettre::Message::builder()
        .from(from)
        .to(to.clone())
        .date(SystemTime::now())
        .subject(one_line(config.subject.as_deref().unwrap_or(&message.headline()), 200))
        .message_id(Some(id))
        .in_reply_to(thread.clone())
        .references(thread);
    let own = [
        ("Auto-Submitted".to_owned(), "auto-generated".to_owned()),
        ("X-Auto-Response-Suppress".to_owned(), "All".to_owned()),
        ("List-Id".to_owned(), list),
    ];
    for (name, value) in own.into_iter().chain(config.headers.iter().cloned()) {
        let name = HeaderName::new_from_ascii(name).map_err(|error| error.to_string())?;
        builder = builder.raw_header(HeaderValue::new(name, value));
    }
    let text = config.text.clone().unwrap_or_else(|| body::text(message));
    let html = match (&config.html, chart) {
        (Some(html), _) => SinglePart::html(html.clone()),
        (None, None) => SinglePart::html(body::html(message, None)),
        (None, Some(chart)) => {
            let cid = format!("chart.{}@{host}", speaker.key(&[&intent.receiver, &intent.scope, &rev]));
            let related = MultiPart::related().singlepart(SinglePart::html(body::html(message, Some((&cid, chart)))));
            let kind = ContentType::parse("image/png").map_err(|error| error.to_string())?;
            let related = related.singlepart(Attachment::new_inline(cid).body(chart.png.clone(), kind));
            let parts = MultiPart::alternative().singlepart(SinglePart::plain(text)).multipart(related);
            return builder.multipart(parts).map_err(|error| error.to_string());
        }
    };
    let parts = MultiPart::alternative().singlepart(SinglePart::plain(text)).singlepart(html);
    builder.multipart(parts).map_err(|error| error.to_string())
}

/// When the attempt began: the chart is of then.
fn started_ms(intent: &Intent) -> i64 {
    match intent.progress {
        Progress::Sending { started_ms, .. } => started_ms,
        _ => intent.not_before_ms,
    }
}
