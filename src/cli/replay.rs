//! `binnacle replay`: what rules would have done over the stored past.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::Failure;
use super::ask::ServerArgs;
use super::table::table;

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The rule file.
    file: PathBuf,
    /// How far back to look; the rules' own `x.backtest`, or 14d by default.
    #[arg(long, value_name = "DURATION")]
    since: Option<String>,
    /// List the firings themselves.
    #[arg(long)]
    episodes: bool,
    /// Print the API's data instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ReplayArgs) -> Result<ExitCode, Failure> {
    let file = args.file.display();
    let text = std::fs::read_to_string(&args.file).map_err(|error| format!("{file}: {error}"))?;
    let mut form = vec![("rules", text)];
    form.extend(args.since.as_ref().map(|since| ("since", since.clone())));
    let answer = args.server.ask("rules/replay", &form)?;
    let rules = answer.data.get("rules").and_then(Value::as_array).cloned().unwrap_or_default();
    if args.json {
        say!("{}", answer.data);
    } else {
        let text = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
        say!("from {} to {}", text(&answer.data, "start"), text(&answer.data, "end"));
        for rule in &rules {
            say!("{}", said(rule));
            if args.episodes {
                let episodes = rule.get("episodes").and_then(Value::as_array).cloned().unwrap_or_default();
                let mut rows = vec![vec!["FIRED".to_string(), "ENDED".into(), "LABELS".into()]];
                rows.extend(episodes.iter().map(|episode| {
                    let labels = episode.get("labels").map(Value::to_string).unwrap_or_default();
                    vec![text(episode, "fired"), text(episode, "ended"), labels]
                }));
                say_text!("{}", table(&rows, &[]));
            }
        }
    }
    let failed = rules.iter().any(|rule| rule.get("error").is_some());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// One line of one rule.
fn said(rule: &Value) -> String {
    let number = |key: &str| rule.get(key).and_then(Value::as_f64).unwrap_or_default();
    let text = |key: &str| rule.get(key).and_then(Value::as_str).unwrap_or_default();
    let name = text("rule");
    if rule.get("error").is_some() {
        return format!("{name}: {}", text("error"));
    }
    if number("fired") == 0.0 {
        return format!("{name}: would not have fired");
    }
    format!(
        "{name}: would have fired {} times, flapped {}; first {}, last {}; {:.1} pages a week; longest {}",
        number("fired"),
        number("flapped"),
        text("first"),
        text("last"),
        number("pagesPerWeek"),
        model::time::format_duration_ms((number("longestSeconds") * 1e3) as i64),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_summed_up_in_a_line() {
        #[track_caller]
        fn check(rule: &str, expected: &str) {
            assert_eq!(said(&serde_json::from_str(rule).unwrap()), expected);
        }
        check(r#"{"rule":"A","fired":0}"#, "A: would not have fired");
        check(r#"{"rule":"A","fired":0,"error":"too much"}"#, "A: too much");
        check(
            r#"{"rule":"A","fired":3,"flapped":1,"first":"x","last":"y","pagesPerWeek":1.5,"longestSeconds":90}"#,
            "A: would have fired 3 times, flapped 1; first x, last y; 1.5 pages a week; longest 1m30s",
        );
    }
}
