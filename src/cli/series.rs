//! `binnacle series`: which metrics and labels hold the series, what grew since yesterday, what nobody asks for.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::Failure;
use super::ask::ServerArgs;
use super::table::table;

#[derive(Debug, Args)]
pub(super) struct SeriesArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Rows of each table.
    #[arg(long, default_value_t = 20, value_name = "N")]
    top: usize,
    /// List this label's values too.
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// Only metrics with more series today than yesterday, by growth.
    #[arg(long)]
    grown: bool,
    /// Only metrics that no query, page or rule asked for since the server started.
    #[arg(long)]
    never_queried: bool,
    /// Print the API's data instead of tables.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &SeriesArgs) -> Result<ExitCode, Failure> {
    let mut form = vec![("limit", args.top.to_string())];
    form.extend(args.label.clone().map(|label| ("label", label)));
    form.extend(args.grown.then(|| ("grown", "true".into())));
    form.extend(args.never_queried.then(|| ("never_queried", "true".into())));
    let answer = args.server.ask("cardinality", &form)?;
    if args.json {
        say!("{}", answer.data);
    } else {
        say_text!("{}", shown(&answer.data));
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(data: &Value) -> String {
    let mut out = format!(
        "{} series today, {} yesterday ({}); {} metrics, {} of them never queried since {}{}\n",
        data["series"],
        data["series_yesterday"],
        signed(&data["growth"]),
        data["metric_names"],
        data["never_queried"],
        data["queried_since"].as_str().unwrap_or("?"),
        if data["queried_complete"] == false { " (more were asked for than could be remembered)" } else { "" },
    );
    let mut add = |rows: &Value, headings: &[&str], cells: &dyn Fn(&Value) -> Vec<String>| {
        let mut lines = vec![headings.iter().map(ToString::to_string).collect()];
        lines.extend(rows.as_array().into_iter().flatten().map(|row| {
            let counts = [row["series"].to_string(), row["series_yesterday"].to_string(), signed(&row["growth"])];
            counts.into_iter().chain(cells(row)).collect()
        }));
        out.push('\n');
        out.push_str(&table(&lines, &[true, true, true]));
    };
    let name = |row: &Value| row["name"].as_str().unwrap_or_default().to_owned();
    add(&data["metrics"], &["SERIES", "YESTERDAY", "GROWTH", "LAST QUERIED", "METRIC"], &|row| {
        vec![row["last_queried"].as_str().unwrap_or("never").to_owned(), name(row)]
    });
    add(&data["labels"], &["SERIES", "YESTERDAY", "GROWTH", "VALUES", "LABEL"], &|row| {
        vec![row["values"].to_string(), name(row)]
    });
    if let Some(label) = data["label"].as_str() {
        add(&data["values"], &["SERIES", "YESTERDAY", "GROWTH", &format!("VALUE OF {label}")], &|row| vec![name(row)]);
    }
    out
}

fn signed(growth: &Value) -> String {
    match growth.as_i64() {
        Some(growth) if growth > 0 => format!("+{growth}"),
        Some(growth) => growth.to_string(),
        None => "?".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_are_tables() {
        let row = |name: &str, series, yesterday: i64| {
            json!({"name": name, "series": series, "series_yesterday": yesterday, "growth": series - yesterday,
                "values": 3, "last_queried": null})
        };
        let data = json!({
            "series": 12, "series_yesterday": 9, "growth": 3, "metric_names": 2, "never_queried": 1,
            "queried_since": "2026-11-21T00:00:00Z", "queried_complete": true,
            "metrics": [row("up", 10, 9), row("new", 2, 0)], "labels": [row("pod", 12, 12)],
            "label": "pod", "values": [row("a b", 7, 8)],
        });
        assert_eq!(
            shown(&data),
            "12 series today, 9 yesterday (+3); 2 metrics, 1 of them never queried since 2026-11-21T00:00:00Z\n\
             \n\
             SERIES  YESTERDAY  GROWTH  LAST QUERIED  METRIC\n\
             \x20   10          9      +1  never         up\n\
             \x20    2          0      +2  never         new\n\
             \n\
             SERIES  YESTERDAY  GROWTH  VALUES  LABEL\n\
             \x20   12         12       0  3       pod\n\
             \n\
             SERIES  YESTERDAY  GROWTH  VALUE OF pod\n\
             \x20    7          8      -1  a b\n"
        );
    }
}
