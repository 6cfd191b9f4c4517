//! Reads `binnacle.toml`, then `BINNACLE_<SECTION>__<KEY>`, then the flags: the later one wins.
//!
//! A key that does not exist is refused wherever it comes from, with the place and the nearest name.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use model::spelling::distance;
use serde::Deserialize;
use toml::{Table, Value};

use super::{AuthMode, Config};

/// Prefix of environment variables that are settings.
const ENV_PREFIX: &str = "BINNACLE_";

/// A configuration that cannot be used: where, why, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct ConfigError {
    pub place: String,
    pub reason: String,
}

/// What the command line says over file and environment.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub data: Option<PathBuf>,
    pub http: Option<SocketAddr>,
    pub otlp_http: Option<SocketAddr>,
    pub otlp_grpc: Option<SocketAddr>,
    pub auth: Option<AuthMode>,
    /// Allows auth off on listeners that are not on loopback.
    pub insecure_listen: bool,
}

/// Loads and checks. `file` of `None` reads `binnacle.toml` where it exists; a named file must exist.
/// `env` is the whole environment; other variables than ours are passed over.
pub fn load(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (String, String)>,
    overrides: Overrides,
) -> Result<Config, ConfigError> {
    let path = file.unwrap_or(Path::new("binnacle.toml"));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && file.is_none() => String::new(),
        Err(error) => return Err(ConfigError { place: path.display().to_string(), reason: error.to_string() }),
    };
    // Once as it stands, so that errors carry the line.
    toml::from_str::<Config>(&text).map_err(|error| in_file(path, &text, &error))?;
    let mut table: Table = toml::from_str(&text).map_err(|error| in_file(path, &text, &error))?;
    for (name, value) in env {
        if let Some(key) = name.strip_prefix(ENV_PREFIX) {
            set_from_env(&mut table, &name, key, &value)?;
        }
    }
    let mut config = Config::deserialize(table)
        .map_err(|error| ConfigError { place: path.display().to_string(), reason: with_nearest(error.message()) })?;
    if let Some(data) = overrides.data {
        config.data = data;
    }
    if let Some(addr) = overrides.http {
        config.listen.http = addr;
    }
    if let Some(addr) = overrides.otlp_http {
        config.listen.otlp_http = addr;
    }
    if let Some(addr) = overrides.otlp_grpc {
        config.listen.otlp_grpc = addr;
    }
    if let Some(mode) = overrides.auth {
        config.auth.mode = mode;
    }
    check(&config, overrides.insecure_listen)?;
    Ok(config)
}

fn check(config: &Config, insecure_listen: bool) -> Result<(), ConfigError> {
    let refuse = |place: &str, reason: String| Err(ConfigError { place: place.into(), reason });
    if !config.needs_token() && !config.is_loopback() && !insecure_listen {
        return refuse(
            "auth.mode",
            format!(
                "\"off\" while a listener is open to the network ({}, {}, {}): use \"token\", listen on 127.0.0.1, \
                 or accept it with --insecure-listen",
                config.listen.http, config.listen.otlp_http, config.listen.otlp_grpc
            ),
        );
    }
    let url = &config.notify.external_url;
    let is_page = |url: url::Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    if !url.is_empty() && !url.parse().is_ok_and(is_page) {
        return refuse(
            "notify.external_url",
            format!("{url:?} is no address of pages: write \"https://binnacle.example.com\""),
        );
    }
    if let Err(reason) = config.log.filter() {
        return refuse("log.level", reason);
    }
    if let Err(error) = model::TenantId::new(&config.syslog.tenant) {
        return refuse("syslog.tenant", error.to_string());
    }
    if let Err(reason) = config.syslog.zone() {
        return refuse("syslog.time_zone", reason);
    }
    for tenant in &config.rules.tenants {
        if let Err(error) = model::TenantId::new(tenant) {
            return refuse("rules.tenants", error.to_string());
        }
    }
    super::scrape::check(&config.scrape).or_else(|(place, reason)| refuse(&place, reason))?;
    super::alertmanagers::check(&config.alertmanagers).or_else(|(place, reason)| refuse(&place, reason))?;
    const CENTURY_MS: i64 = 100 * 365 * 86_400_000;
    for (place, age) in [("retention.metrics", config.retention.metrics), ("retention.logs", config.retention.logs)] {
        if age.ms > CENTURY_MS {
            return refuse(place, "at most 100y".into());
        }
    }
    super::status_components(&config.status).map(drop).or_else(|reason| refuse("status.components", reason))?;
    super::stream_rules(&config.retention).map(drop).or_else(|(place, reason)| refuse(&place, reason))?;
    let (rolled_up, raw) = (config.metrics.downsample_after, config.retention.metrics_raw);
    if raw.ms > 0 && (rolled_up.ms == 0 || raw.ms < rolled_up.ms) {
        return refuse(
            "retention.metrics_raw",
            "must be at least metrics.downsample_after, which makes what stays of the samples".into(),
        );
    }
    for (place, count) in [
        ("listen.connections", config.listen.connections),
        ("syslog.connections", config.syslog.connections),
        ("query.concurrency", config.query.concurrency),
        ("query.threads", config.query.threads),
        ("limits.tenants", config.limits.tenants),
        ("limits.labels", config.limits.labels),
    ] {
        if count == 0 {
            return refuse(place, "must be at least 1".into());
        }
    }
    if config.limits.in_flight_bytes.0 < config.limits.request_bytes.0 {
        return refuse("limits.in_flight_bytes", "must be at least limits.request_bytes".into());
    }
    Ok(())
}

/// `SECTION__KEY` into the table: as TOML where it reads as the key's type, else as text.
fn set_from_env(table: &mut Table, name: &str, key: &str, value: &str) -> Result<(), ConfigError> {
    let path: Vec<String> = key.split("__").map(str::to_ascii_lowercase).collect();
    // Only sections and `data`: other BINNACLE_ variables (a token for the command line, say) are not settings.
    if path.len() == 1 && path[0] != "data" {
        return match meant_by(&path[0], value) {
            Some(meant) => {
                let reason = format!("between a section and its key stand two underscores: {ENV_PREFIX}{meant}");
                Err(ConfigError { place: format!("environment variable {name}"), reason })
            }
            None => Ok(()),
        };
    }
    let candidates = [
        toml::from_str::<Table>(&format!("v = {value}")).ok().and_then(|mut parsed| parsed.remove("v")),
        Some(Value::String(value.into())),
    ];
    let mut last_error = String::new();
    for candidate in candidates.into_iter().flatten() {
        let mut trial = table.clone();
        insert(&mut trial, &path, candidate);
        match Config::deserialize(trial.clone()) {
            Ok(_) => {
                *table = trial;
                return Ok(());
            }
            Err(error) => last_error = with_nearest(error.message()),
        }
    }
    Err(ConfigError { place: format!("environment variable {name}"), reason: last_error })
}

/// The variable that one underscore too few was left out of: `listen_http` is `LISTEN__HTTP`.
fn meant_by(key: &str, value: &str) -> Option<String> {
    let is_setting = |section: &str, inner: &str| {
        let mut table = Table::new();
        let path = [section.to_owned(), inner.to_owned()];
        insert(&mut table, &path, Value::String(value.into()));
        // Another type than text, or another value, is still a setting.
        Config::deserialize(table).map_or_else(|error| !error.message().starts_with("unknown "), |_| true)
    };
    let at = key.match_indices('_').map(|(at, _)| at).find(|at| is_setting(&key[..*at], &key[at + 1..]))?;
    Some(format!("{}__{}", &key[..at], &key[at + 1..]).to_ascii_uppercase())
}

fn insert(table: &mut Table, path: &[String], value: Value) {
    match path {
        [] => {}
        [key] => {
            table.insert(key.clone(), value);
        }
        [section, rest @ ..] => {
            // A list of tables has no key that a variable could name; the type's own error says what it must be.
            if table.get(section).is_some_and(Value::is_array) {
                table.remove(section);
            }
            let inner = table.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

fn in_file(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    ConfigError { place: format!("{}:{line}", path.display()), reason: with_nearest(error.message()) }
}

/// Adds the nearest of serde's expected names to an "unknown field" message.
fn with_nearest(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((unknown, expected)) if message.starts_with("unknown ") && !expected.is_empty() => {
            let nearest = expected.iter().min_by_key(|name| distance(unknown, name)).expect("not empty");
            let key = message.split('`').next().unwrap_or_default().trim_end();
            format!("{key} {unknown:?}: did you mean {nearest:?}? (known: {})", expected.join(", "))
        }
        _ if message.contains("invalid socket address syntax") => {
            format!("{message}: write an IP address and a port, as in \"127.0.0.1:8080\" or \"0.0.0.0:8080\"")
        }
        _ => message.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_text(text: &str, env: &[(&str, &str)], overrides: Overrides) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("binnacle.toml");
        std::fs::write(&file, text).unwrap();
        let env = env.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        load(Some(&file), env, overrides)
            .map_err(|error| error.to_string().replace(&file.display().to_string(), "binnacle.toml"))
    }

    #[track_caller]
    fn check_refused(text: &str, env: &[(&str, &str)], parts: &[&str]) {
        let error = load_text(text, env, Overrides::default()).expect_err(text);
        for part in parts {
            assert!(error.contains(part), "{error:?} lacks {part:?}");
        }
    }

    #[test]
    fn wrong_files_are_refused_with_line_and_nearest_name() {
        check_refused(
            "data = \"x\"\n[retension]\nlogs = \"1d\"\n",
            &[],
            &["binnacle.toml:2", "did you mean \"retention\""],
        );
        check_refused(
            "[retention]\nmetrics_raw = \"7d\"\n",
            &[],
            &["retention.metrics_raw", "metrics.downsample_after"],
        );
        check_refused("[retention]\n\nlog = \"1d\"\n", &[], &["binnacle.toml:3", "did you mean \"logs\""]);
        check_refused("[retention]\nlogs = \"soon\"\n", &[], &["binnacle.toml:2", "\"soon\" is no duration"]);
        check_refused("[retention]\nlogs = 7\n", &[], &["binnacle.toml:2"]);
        check_refused("[retention]\nlogs = \"200y\"\n", &[], &["retention.logs", "100y"]);
        check_refused("[limits]\nrequest_bytes = \"1 elephant\"\n", &[], &["binnacle.toml:2", "64MiB"]);
        check_refused("[auth]\nmode = \"on\"\n", &[], &["binnacle.toml:2", "did you mean"]);
        check_refused("[[scrape]]\njob = \"a\"\ntarget = []\n", &[], &["binnacle.toml:3", "did you mean \"targets\""]);
        check_refused("[[scrape]]\njob = \"a\"\n", &[], &["scrape \"a\": targets"]);
        check_refused("[[alertmanagers]]\ntarget = []\n", &[], &["binnacle.toml:2", "did you mean \"targets\""]);
        check_refused("[[alertmanagers]]\n", &[], &["alertmanagers number 1: targets"]);
        check_refused(
            "[[scrape]]\njob = \"a\"\ntargets = [\"b:1\"]\n",
            &[("BINNACLE_SCRAPE__JOB", "c")],
            &["BINNACLE_SCRAPE__JOB"],
        );
        check_refused("[listen\n", &[], &["binnacle.toml:1"]);
        check_refused("[metrics]\npromote_resource_attributes = \"some\"\n", &[], &["\"all\", \"none\""]);
        check_refused("", &[("BINNACLE_RETENTION__LOG", "1d")], &["BINNACLE_RETENTION__LOG", "did you mean \"logs\""]);
        check_refused("", &[("BINNACLE_QUERY__CONCURRENCY", "many")], &["BINNACLE_QUERY__CONCURRENCY"]);
        check_refused(
            "[auth]\nmode = \"off\"\n[listen]\nhttp = \"0.0.0.0:8080\"\n",
            &[],
            &["auth.mode", "--insecure-listen"],
        );
    }

    #[test]
    fn later_sources_win() {
        let text = "[retention]\nlogs = \"7d\"\nmax_bytes = \"1GiB\"\n[listen]\nhttp = \"127.0.0.1:1\"\n";
        let env = [
            ("BINNACLE_RETENTION__LOGS", "8d"),
            ("BINNACLE_QUERY__CONCURRENCY", "9"),
            ("BINNACLE_METRICS__PROMOTE_RESOURCE_ATTRIBUTES", "[\"a.b\"]"),
            ("BINNACLE_TOKEN", "not a setting"),
            ("BINNACLE_DATA", "/d"),
        ];
        let overrides = Overrides { http: Some(([127, 0, 0, 1], 2).into()), ..Overrides::default() };
        let config = load_text(text, &env, overrides).unwrap();
        assert_eq!(config.retention.logs, super::super::Duration::days(8));
        assert_eq!(config.retention.max_bytes, super::super::Bytes(1 << 30));
        assert_eq!(config.query.concurrency, 9);
        assert_eq!(config.metrics.promote_resource_attributes, super::super::Promote::List(vec!["a.b".into()]));
        assert_eq!(config.data, PathBuf::from("/d"));
        assert_eq!(config.listen.http.port(), 2);
    }

    #[test]
    fn auto_asks_for_a_token_as_soon_as_a_listener_is_open() {
        assert!(!load_text("", &[], Overrides::default()).unwrap().needs_token());
        let open = load_text("[listen]\notlp_grpc = \"0.0.0.0:4317\"\n", &[], Overrides::default()).unwrap();
        assert!(open.needs_token());
    }

    #[test]
    fn variables_with_an_underscore_too_few_are_refused() {
        let check = |name: &str, value: &str, expected: Option<&str>| {
            let error = load_text("", &[(name, value)], Overrides::default()).err();
            match expected {
                None => assert_eq!(error, None, "{name}"),
                Some(meant) => assert!(error.is_some_and(|error| error.contains(meant)), "{name}"),
            }
        };
        check("BINNACLE_LISTEN_HTTP", "0.0.0.0:8080", Some("BINNACLE_LISTEN__HTTP"));
        check("BINNACLE_AUTH_MODE", "token", Some("BINNACLE_AUTH__MODE"));
        check("BINNACLE_RETENTION_MAX_BYTES", "10GiB", Some("BINNACLE_RETENTION__MAX_BYTES"));
        check("BINNACLE_QUERY_CONCURRENCY", "9", Some("BINNACLE_QUERY__CONCURRENCY"));
        for other in ["BINNACLE_TOKEN", "BINNACLE_URL", "BINNACLE_TENANT", "BINNACLE_NO_SUCH", "BINNACLE_LOG_X"] {
            check(other, "x", None);
        }
    }

    #[test]
    fn values_that_are_nearly_right_say_what_would_be() {
        let check = |text: &str, says: &str| {
            let error = load_text(text, &[], Overrides::default()).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        };
        check("[listen]\nhttp = \"localhost:8080\"\n", "as in \"127.0.0.1:8080\"");
        check("[listen]\nhttp = \":8080\"\n", "as in \"127.0.0.1:8080\"");
        check("[notify]\nexternal_url = \"not a url\"\n", "notify.external_url");
        check("[notify]\nexternal_url = \"ftp://host/\"\n", "notify.external_url");
        let never = load_text(
            "[metrics]\ndownsample_after = \"0s\"\n[retention]\nmetrics_raw = \"0s\"\n",
            &[],
            Overrides::default(),
        );
        assert_eq!(never.unwrap().metrics.downsample_after.ms, 0);
        check("[retention]\nmetrics = \"0s\"\n", "is no duration");
        check("[metrics]\ndownsample_after = \"soon\"\n", "is no duration");
    }

    #[test]
    fn links_of_this_machine_are_known() {
        let check = |url: &str, expected: bool| {
            let text = format!("[notify]\nexternal_url = {url:?}\n");
            assert_eq!(load_text(&text, &[], Overrides::default()).unwrap().links_stay_here(), expected, "{url}");
        };
        check("", true);
        check("http://localhost:8080", true);
        check("http://127.0.0.2/x", true);
        check("http://[::1]:80", true);
        check("https://binnacle.example.com", false);
        check("http://10.0.0.7:8080/", false);
    }

    #[test]
    fn levels_of_the_log_are_known_or_refused() {
        let check = |level: &str, expected: Result<&str, &str>| match (
            load_text(&format!("[log]\nlevel = {level:?}\n"), &[], Overrides::default()),
            expected,
        ) {
            (Ok(config), Ok(filter)) => assert_eq!(config.log.filter().as_deref(), Ok(filter), "{level}"),
            (Err(error), Err(says)) => {
                let error = error.to_string();
                assert!(error.contains("log.level") && error.contains(says), "{level}: {error}");
            }
            (read, _) => panic!("{level}: {:?}", read.map(|config| config.log)),
        };
        check("info", Ok("info"));
        check("WARNING", Ok("warn"));
        check("off", Ok("off"));
        check("info, store=Debug", Ok("info,store=debug"));
        check("verbose", Err("\"verbose\" is no level"));
        check("info,store", Err("\"store\" is no level"));
        check("store=loud", Err("\"loud\" is no level"));
        check("", Err("it is empty"));
    }
}
