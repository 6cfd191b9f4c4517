//! `binnacle logs`: a log search at a running server, as lines of text; with `--follow`, as they come.

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use model::time::parse_duration_ms;
use serde_json::Value;

use super::Failure;
use super::ask::ServerArgs;
use super::log_line::{Style, line};

mod follow;

/// Rows of one request; more are asked for page by page.
const PAGE_ROWS: usize = 1_000;
/// No row matched, as grep says it.
const NO_MATCH: u8 = 1;
/// The search was not answered.
const FAILED: u8 = 2;

#[derive(Debug, Args)]
pub(super) struct LogsArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Words, "phrases", field:value, severity:>=warn, -not, AND/OR, /regex/; all records without it.
    #[arg(default_value = "")]
    query: String,
    /// How far back to search.
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    since: String,
    /// Where to end: RFC 3339, seconds or milliseconds since 1970, now-10m. Now by default.
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    until: Option<String>,
    /// Most records to show, the newest ones; with --follow, of those that are there already. 0 shows all.
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 100)]
    limit: usize,
    /// Go on with records as they come, until it is stopped; comes back by itself where the connection breaks.
    #[arg(long, short)]
    follow: bool,
    /// Print a JSON object a line, as the API does.
    #[arg(long)]
    json: bool,
    /// Colour the severities.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

/// Ends with 0 when a record matched, 1 when none did, 2 when the search was not answered.
pub(super) fn run(args: &LogsArgs) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut out = Out::new(args);
    let done = runtime
        .block_on(async { if args.follow { follow::run(args, &mut out).await } else { search(args, &mut out).await } });
    match done {
        Ok(()) if out.shown > 0 => Ok(ExitCode::SUCCESS),
        Ok(()) => Ok(ExitCode::from(NO_MATCH)),
        // Whoever read has seen enough, such as `head`.
        Err(Stop::Reader) => Ok(ExitCode::SUCCESS),
        Err(Stop::Failed(reason)) => {
            eprintln!("binnacle: {reason}");
            Ok(ExitCode::from(FAILED))
        }
    }
}

/// Why it ends early.
enum Stop {
    /// Nobody reads what is printed any more.
    Reader,
    Failed(String),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure.to_string())
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Stop::Reader,
            _ => Stop::Failed(format!("cannot print: {error}")),
        }
    }
}

/// Where records are printed.
struct Out {
    to: io::BufWriter<io::Stdout>,
    json: bool,
    style: Style,
    shown: u64,
}

impl Out {
    fn new(args: &LogsArgs) -> Out {
        let terminal = io::stdout().is_terminal();
        let colors = match args.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        Out { to: io::BufWriter::new(io::stdout()), json: args.json, style: Style { colors }, shown: 0 }
    }

    /// One record: as it came, or as a line for people.
    fn show(&mut self, text: &str, row: &Value) -> Result<(), Stop> {
        self.shown += 1;
        if self.json {
            writeln!(self.to, "{text}")?;
        } else {
            writeln!(self.to, "{}", line(row, self.style))?;
        }
        Ok(())
    }
}

async fn search(args: &LogsArgs, out: &mut Out) -> Result<(), Stop> {
    let mut left = if args.limit == 0 { usize::MAX } else { args.limit };
    let from = since(args)?;
    let mut cursor: Option<String> = None;
    // Printed oldest first, so the newest are collected before; without a limit they are asked for in that order.
    let all = args.limit == 0;
    let mut kept: Vec<(String, Value)> = Vec::new();
    // Both ends stay where they are while pages are asked for.
    let until = args.until.clone().unwrap_or_else(|| "now".into());
    loop {
        let count = left.min(PAGE_ROWS);
        let mut form = vec![("q", args.query.clone()), ("from", from.clone()), ("to", until.clone())];
        form.push(("limit", count.to_string()));
        form.push(("direction", if all { "oldest" } else { "newest" }.into()));
        form.extend(cursor.clone().map(|cursor| ("cursor", cursor)));
        let text = args.server.ask_text("logs", &form).await?;
        let mut rows = 0;
        let mut partial = None;
        for text in text.lines() {
            let row: Value =
                serde_json::from_str(text).map_err(|_| Stop::Failed(format!("not a line of the API: {text:.200}")))?;
            if row["partial"].is_object() {
                partial = Some(row);
                continue;
            }
            rows += 1;
            cursor = row["cursor"].as_str().map(str::to_owned);
            if all {
                out.show(text, &row)?;
            } else {
                kept.push((text.to_owned(), row));
            }
        }
        left -= rows;
        if let Some(row) = partial {
            let (reason, covered) = (&row["partial"]["reason"], &row["partial"]["covered"]);
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            print_kept(kept, out)?;
            out.to.flush()?;
            let (start, end) = (text(&covered["start"]), text(&covered["end"]));
            return Err(Stop::Failed(format!("only {start} to {end} was searched: {}", text(reason))));
        }
        if rows < count || left == 0 {
            break;
        }
    }
    print_kept(kept, out)?;
    out.to.flush()?;
    Ok(())
}

fn print_kept(kept: Vec<(String, Value)>, out: &mut Out) -> Result<(), Stop> {
    kept.iter().rev().try_for_each(|(text, row)| out.show(text, row))
}

/// The start of the range, as the API takes it.
fn since(args: &LogsArgs) -> Result<String, Stop> {
    let since_ms = parse_duration_ms(&args.since)
        .filter(|ms| *ms > 0)
        .ok_or_else(|| Stop::Failed(format!("--since {:?} is no duration; write 30s, 5m, 1h, 7d", args.since)))?;
    let now_ms = crate::clock::now_ms();
    let end_ms = match &args.until {
        None => now_ms,
        Some(text) => server::time_param::time_ms(text, now_ms).ok_or_else(|| {
            Stop::Failed(format!("--until {text:?} is no time: use RFC 3339, seconds or ms since 1970, or now-1h"))
        })?,
    };
    Ok(model::time::rfc3339_ms(end_ms.saturating_sub(since_ms)))
}
