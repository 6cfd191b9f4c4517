//! The command line: what was said, and which verb does it.

/// A line to stdout; see [`out::put`].
macro_rules! say {
    ($($words:tt)*) => { $crate::cli::out::put(&format!("{}\n", format_args!($($words)*))) };
}

/// Text as it is to stdout; see [`out::put`].
macro_rules! say_text {
    ($($words:tt)*) => { $crate::cli::out::put(&format!($($words)*)) };
}

mod arenas;
mod ask;
mod backup;
mod check;
mod export;
mod log_line;
mod logs;
mod notify;
mod out;
mod query;
mod replay;
mod series;
mod serve;
mod table;
mod tenant;
mod test_rules;
mod token;
mod verify;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{self, Config, ConfigError, Overrides};
use crate::demo;

/// What a verb can fail with, for `main` to print.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// OTLP metrics and logs, alerts and a small UI in one binary.
#[derive(Debug, Parser)]
#[command(name = "binnacle", version, about)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the appliance until SIGTERM.
    #[command(
        after_help = "Examples:\n  binnacle serve\n  binnacle serve --data /var/lib/binnacle --listen-http 0.0.0.0:8080 --auth token\n\n\
        SIGHUP reads rules, notify.yml and [[scrape]] again. When ready, one line goes to stdout:\n  ready http=ADDR otlp_http=ADDR otlp_grpc=ADDR"
    )]
    Serve(ServeArgs),
    /// Push a small fleet's believable metrics and logs at a running server.
    #[command(
        after_help = "Examples:\n  binnacle demo\n  binnacle demo --incident errors\n  binnacle demo --endpoint http://127.0.0.1:4317 --incident queue --incident-for 5m"
    )]
    Demo(demo::DemoArgs),
    /// Ask a running server a PromQL query.
    #[command(
        after_help = "Examples:\n  binnacle query 'up == 0'\n  binnacle query 'sum by (job) (rate(http_requests_total[5m]))' --since 1h --step 1m\n  binnacle query up --time 2026-11-21T02:00:00Z --json\n\n\
        Exits with 0 when the query was answered, even with nothing, and with 1 when it was not."
    )]
    Query(query::QueryArgs),
    /// Search the logs of a running server, or follow them.
    #[command(
        after_help = "Examples:\n  binnacle logs 'severity:>=warn'\n  binnacle logs 'service.name:api \"connection refused\"' --since 6h -n 500\n  binnacle logs 'http.status:>=500 -path:/health' --since 1d --json | jq .body\n  binnacle logs --follow 'severity:>=error'\n\n\
        The search: words in any case, \"exact phrases\", field:value, field:>=500, field:*, /regex/, -not, AND, OR, parentheses;\n\
        resource., scope., attributes. and body. in front of a field say where it stands.\n\n\
        Exits with 0 when a record matched, with 1 when none did, and with 2 when the search was not answered or not to its end."
    )]
    Logs(logs::LogsArgs),
    /// Show which metrics and labels hold the series of a running server.
    #[command(
        after_help = "Examples:\n  binnacle series --top 10\n  binnacle series --grown\n  binnacle series --never-queried --label pod\n\n\
        Days are UTC days. Series of today had samples since midnight."
    )]
    Series(series::SeriesArgs),
    /// Read configuration, rule files and notify.yml, and say what is wrong with them.
    #[command(
        after_help = "Examples:\n  binnacle check\n  binnacle check --config /etc/binnacle.toml\n  binnacle check rules/*.yml\n  binnacle check --url http://127.0.0.1:8080\n\n\
        Exits with 1 when something cannot be used; warnings are likely mistakes."
    )]
    Check(check::CheckArgs),
    /// Print rules as other programs read them.
    #[command(after_help = "Example:\n  binnacle export --prometheus rules/api.yml > api.prometheus.yml")]
    Export(export::ExportArgs),
    /// Say what rules would have done over the stored past of a running server.
    #[command(
        after_help = "Examples:\n  binnacle replay rule.yml --since 14d\n  binnacle replay alerts/host.yml --since 7d --episodes\n\n\
        Exits with 1 when a rule could not be evaluated."
    )]
    Replay(replay::ReplayArgs),
    /// Run tests of rules.
    #[command(subcommand)]
    Test(TestVerb),
    /// Copy the data folder, while a server uses it or not.
    #[command(
        after_help = "Examples:\n  binnacle backup /backup/$(date -u +%F-%H%M)\n  binnacle backup --data /var/lib/binnacle /backup/tonight\n\n\
        Everything acknowledged before it begins is in the copy. The folder must be empty, or not be there; a running server writes it,\n\
        as its own user. Indexes of logs are left out: restore makes them anew."
    )]
    Backup(backup::BackupArgs),
    /// Put a backup into an empty data folder, and read all of it.
    #[command(after_help = "Examples:\n  binnacle restore /backup/tonight --data /var/lib/binnacle\n\n\
        The backup is checked against its list before anything is written. Exits with 1 when something in it is damaged.")]
    Restore(backup::RestoreArgs),
    /// List, move and erase tenants.
    #[command(subcommand)]
    Tenant(tenant::TenantVerb),
    /// Read everything in a data folder that no server uses, and say what is damaged.
    #[command(
        after_help = "Examples:\n  binnacle verify --data /var/lib/binnacle\n  binnacle verify --data /var/lib/binnacle --rebuild-index\n\n\
        Exits with 1 when something is damaged. Files that cannot be read are set aside, as serve would do."
    )]
    Verify(verify::VerifyArgs),
    /// Try out who is told of alerts, and how.
    #[command(subcommand)]
    Notify(notify::NotifyVerb),
    /// Make, list and revoke API tokens.
    #[command(subcommand)]
    Token(token::TokenVerb),
}

#[derive(Debug, Subcommand)]
enum TestVerb {
    /// Run promtool's unit-test files, with log lines and expected notifications beside what promtool knows.
    #[command(after_help = "Example:\n  binnacle test rules alerts/host.test.yml")]
    Rules {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// Configuration file; `binnacle.toml` is read where it exists.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data folder.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ServeArgs {
    #[command(flatten)]
    from: ConfigArgs,
    /// UI and query APIs.
    #[arg(long, value_name = "ADDR")]
    listen_http: Option<SocketAddr>,
    /// OTLP/HTTP.
    #[arg(long, value_name = "ADDR")]
    listen_otlp_http: Option<SocketAddr>,
    /// OTLP/gRPC.
    #[arg(long, value_name = "ADDR")]
    listen_otlp_grpc: Option<SocketAddr>,
    /// Whether requests need a token.
    #[arg(long, value_enum)]
    auth: Option<AuthArg>,
    /// Serve without a token on addresses that others can reach.
    #[arg(long)]
    insecure_listen: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum AuthArg {
    Off,
    Token,
}

impl ConfigArgs {
    fn load(&self, mut overrides: Overrides) -> Result<Config, ConfigError> {
        overrides.data = self.data.clone();
        config::load(self.config.as_deref(), environment(), overrides)
    }
}

/// The environment's variables that are valid text; others cannot be settings of ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Does what the command line says. The exit code tells scripts how it went.
pub fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.verb {
        Verb::Serve(args) => serve::run(args),
        Verb::Demo(args) => demo::run(args),
        Verb::Query(args) => query::run(&args),
        Verb::Logs(args) => logs::run(&args),
        Verb::Series(args) => series::run(&args),
        Verb::Check(args) => check::run(&args),
        Verb::Export(args) => export::run(&args),
        Verb::Replay(args) => replay::run(&args),
        Verb::Test(TestVerb::Rules { files }) => test_rules::run(&files),
        Verb::Backup(args) => backup::run(&args),
        Verb::Restore(args) => backup::restore(&args),
        Verb::Tenant(verb) => tenant::run(verb),
        Verb::Verify(args) => verify::run(&args),
        Verb::Notify(verb) => notify::run(&verb),
        Verb::Token(verb) => token::run(verb),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
