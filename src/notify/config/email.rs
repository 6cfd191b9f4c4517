//! `email_configs`: a smarthost spoken to over TLS; in the clear only on this machine, and only when asked for.

use std::path::Path;

use lettre::Address;
use lettre::message::Mailbox;

use super::fields::{Fields, scalar};
use super::receiver::Globals;
use super::secret::{self, Secret};
use super::tls::{self, TlsConfig};
use super::tree::Bad;

/// Most recipients of one channel: each is a conversation of its own.
const RECIPIENTS_MAX: usize = 50;
/// Headers that the appliance writes itself, lower-case.
const OWN_HEADERS: [&str; 11] = [
    "cc",
    "bcc",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "auto-submitted",
    "list-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
];

/// Of Alertmanager's, without effect here.
pub(super) const IDLE: [&str; 4] = ["auth_secret", "auth_secret_file", "auth_identity", "threading"];

#[derive(Debug, Clone)]
pub(crate) struct EmailConfig {
    /// Empty while `to_template` is not rendered.
    pub(crate) to: Vec<Mailbox>,
    pub(crate) to_template: Option<String>,
    /// `None` while `from_template` is not rendered.
    pub(crate) from: Option<Mailbox>,
    pub(crate) from_template: Option<String>,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) hello: Option<String>,
    pub(crate) auth: Option<(String, Secret)>,
    pub(crate) encryption: Encryption,
    pub(crate) tls: TlsConfig,
    /// Values may be templates.
    pub(crate) headers: Vec<(String, String)>,
    /// Templates in place of our own words.
    pub(crate) subject: Option<String>,
    pub(crate) html: Option<String>,
    pub(crate) text: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encryption {
    /// Required; a server that does not offer it gets no mail.
    StartTls,
    /// From the first byte, as on port 465.
    Implicit,
    /// Where the server offers it: what `require_tls: false` asks for.
    IfOffered,
    /// Plain text, to this machine only.
    None,
}

pub(crate) fn read(mut fields: Fields<'_>, globals: &Globals, dir: &Path) -> Result<EmailConfig, Bad> {
    let line = fields.line;
    let (to, to_line) = fields.required_text("to")?;
    // What a template gives is known when there is a message.
    let to_template = to.contains("{{").then(|| to.to_owned());
    let to = match to_template {
        Some(_) => Vec::new(),
        None => mailboxes(to).map_err(|reason| Bad::new(to_line, reason))?,
    };
    let owned = |found: Option<(&str, usize)>| found.map(|(text, line)| (text.to_owned(), line));
    let (from, from_line) = owned(fields.text("from")?)
        .or_else(|| globals.from.clone())
        .ok_or_else(|| Bad::new(line, "email needs from, here or as global smtp_from"))?;
    let from_template = from.contains("{{").then(|| from.clone());
    let from = match from_template {
        Some(_) => None,
        None => Some(mailbox(&from).map_err(|reason| Bad::new(from_line, reason))?),
    };
    let (smarthost, host_line) = owned(fields.text("smarthost")?)
        .or_else(|| globals.smarthost.clone())
        .ok_or_else(|| Bad::new(line, "email needs smarthost, here or as global smtp_smarthost"))?;
    let (host, port) = host_and_port(&smarthost)
        .ok_or_else(|| Bad::new(host_line, format!("smarthost must be host:port, not {smarthost:?}")))?;
    let hello = fields.text("hello")?.map(|(text, _)| text.to_owned()).or_else(|| globals.hello.clone());
    let username =
        fields.text("auth_username")?.map(|(text, _)| text.to_owned()).or_else(|| globals.auth_username.clone());
    let password = secret::take(&mut fields, "auth_password", "auth_password_file", dir)?
        .map(|(secret, _)| secret)
        .or_else(|| globals.auth_password.clone());
    let name = username.filter(|name| !name.is_empty());
    let lacks_password = name.is_some() && password.is_none();
    let auth = name.zip(password);
    let require_tls = fields.flag("require_tls")?.or(globals.require_tls).unwrap_or(true);
    let own_tls = fields.take("tls_config").map(|node| tls::read(node, dir)).transpose()?;
    let mut tls = own_tls.or_else(|| globals.smtp_tls.clone()).unwrap_or_default();
    if tls.only_12 {
        tls.unspoken = Some("mail takes no max_version; leave it out".into());
    }
    if lacks_password {
        // Alertmanager loads such a file: with auth_secret it speaks CRAM-MD5, and otherwise its mails fail.
        tls.unspoken =
            Some("auth_username is given and no auth_password (CRAM-MD5 with auth_secret is not spoken)".into());
    }
    let implicit = match fields.take("x") {
        None => None,
        Some(node) => {
            let mut x = Fields::of(node, "x of email_configs")?;
            let implicit = x.flag("implicit_tls")?;
            x.end(&[])?;
            implicit
        }
    };
    let forced = fields.flag("force_implicit_tls")?.or(implicit).or(globals.implicit_tls);
    let encryption = if forced.unwrap_or(port == 465) {
        Encryption::Implicit
    } else if require_tls {
        Encryption::StartTls
    } else if is_loopback(&host) {
        Encryption::None
    } else {
        Encryption::IfOffered
    };
    let (headers, subject) = read_headers(&mut fields)?;
    let (html, text) = (fields.template("html")?, fields.template("text")?);
    fields.end(&IDLE)?;
    Ok(EmailConfig {
        to,
        to_template,
        from,
        from_template,
        host,
        port,
        hello,
        auth,
        encryption,
        tls,
        headers,
        subject,
        html,
        text,
    })
}

/// The address of `from`, or what is wrong with it.
pub(crate) fn mailbox(text: &str) -> Result<Mailbox, String> {
    text.trim().parse().map_err(|error| format!("{text:?} is not a mail address: {error}"))
}

/// The addresses of `to`, or what is wrong with them.
pub(crate) fn mailboxes(text: &str) -> Result<Vec<Mailbox>, String> {
    let list = text.split(',').filter(|part| !part.trim().is_empty()).map(mailbox).collect::<Result<Vec<_>, _>>()?;
    if list.is_empty() || list.len() > RECIPIENTS_MAX {
        return Err(format!("to takes 1 to {RECIPIENTS_MAX} addresses, not {}", list.len()));
    }
    Ok(list)
}

/// `mail.example.org:587`, `[::1]:25`.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // Checked as the domain part of an address, which a relay's name is made of too.
    let known = host.parse::<std::net::IpAddr>().is_ok() || Address::new("x", host).is_ok() || host == "localhost";
    Some((host.to_owned(), port.parse().ok()?)).filter(|(_, port)| known && *port != 0)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Headers to add, and the subject.
type Headers = (Vec<(String, String)>, Option<String>);

fn read_headers(fields: &mut Fields<'_>) -> Result<Headers, Bad> {
    let (mut headers, mut subject) = (Vec::new(), None);
    let mut seen = Vec::new();
    for entry in fields.map("headers")? {
        let name = entry.key.trim();
        if seen.contains(&name.to_ascii_lowercase()) {
            return Err(Bad::new(entry.line, format!("the header {name} stands twice, in whatever case")));
        }
        seen.push(name.to_ascii_lowercase());
        let value = scalar(&entry.node, name)?.to_owned();
        match name.to_ascii_lowercase().as_str() {
            "subject" => {
                subject = Some(value).filter(|value| !value.is_empty());
                continue;
            }
            // `to` and `from` say them already; `warnings` tells that these change nothing.
            "to" | "from" => continue,
            _ => {}
        }
        let printable = |text: &str| text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(Bad::new(entry.line, format!("the header {name} is written by the appliance; remove it")));
        }
        if name.is_empty()
            || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            || !printable(&value) && !value.contains("{{")
        {
            return Err(Bad::new(
                entry.line,
                format!(
                    "{name:?} cannot be a mail header: letters, digits and - in its name, ASCII on one line as its value"
                ),
            ));
        }
        headers.push((name.to_owned(), value));
    }
    Ok((headers, subject))
}
