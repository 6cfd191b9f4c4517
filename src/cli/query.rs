//! `binnacle query`: PromQL at a running server, as a table.

use std::process::ExitCode;

use clap::Args;
use model::Labels;
use model::time::{parse_duration_ms, rfc3339_ms};
use serde_json::Value;
use server::time_param::time_ms;

use super::Failure;
use super::ask::ServerArgs;
use super::table::table;
use crate::clock;

/// Steps of a range whose step was not given: about what fits on a screen.
const STEPS_WANTED: i64 = 60;

#[derive(Debug, Args)]
pub(super) struct QueryArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The PromQL expression.
    expr: String,
    /// The instant to evaluate at, or the end of the range: RFC 3339, seconds or milliseconds since 1970, now-1h. Now by default.
    #[arg(long, value_name = "TIME")]
    time: Option<String>,
    /// Evaluate over the time before, step by step.
    #[arg(long, value_name = "DURATION")]
    since: Option<String>,
    /// Between two steps of --since; by default a sixtieth of it.
    #[arg(long, value_name = "DURATION", requires = "since")]
    step: Option<String>,
    /// Print the API's data instead of a table.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &QueryArgs) -> Result<ExitCode, Failure> {
    let (path, form) = request(args, clock::now_ms())?;
    let answer = args.server.ask(path, &form)?;
    for note in &answer.notes {
        eprintln!("{note}");
    }
    if args.json {
        say!("{}", answer.data);
    } else {
        say_text!("{}", shown(&answer.data)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// The fields of a form, by name.
type Form = Vec<(&'static str, String)>;

/// The endpoint and its form.
fn request(args: &QueryArgs, now_ms: i64) -> Result<(&'static str, Form), Failure> {
    let at_ms = match &args.time {
        None => now_ms,
        Some(text) => time_ms(text, now_ms)
            .ok_or_else(|| format!("--time {text:?} is no time: use RFC 3339, seconds or ms since 1970, or now-1h"))?,
    };
    let seconds = |ms: i64| format!("{}", ms as f64 / 1000.0);
    let duration = |name: &str, text: &str| {
        let positive = parse_duration_ms(text).filter(|ms| *ms > 0);
        positive.ok_or_else(|| format!("{name} {text:?} is no duration; write 30s, 5m, 1h"))
    };
    let query = ("query", args.expr.clone());
    let Some(since) = &args.since else {
        return Ok(("query", vec![query, ("time", seconds(at_ms))]));
    };
    let since_ms = duration("--since", since)?;
    let step_ms = match &args.step {
        Some(step) => duration("--step", step)?,
        // Whole seconds, since the times are read by people.
        None => (since_ms / STEPS_WANTED / 1000 * 1000).max(1000),
    };
    let form = vec![query, ("start", seconds(at_ms - since_ms)), ("end", seconds(at_ms)), ("step", seconds(step_ms))];
    Ok(("query_range", form))
}

/// The answer's data as text.
fn shown(data: &Value) -> Result<String, Failure> {
    let result = &data["result"];
    let series = || result.as_array().into_iter().flatten();
    let mut out = String::new();
    match data["resultType"].as_str() {
        Some("scalar" | "string") => {
            out.push_str(result[1].as_str().unwrap_or_default());
            out.push('\n');
        }
        Some("vector") => {
            let mut rows = vec![vec!["VALUE".into(), "SERIES".into()]];
            rows.extend(series().map(|one| {
                let point = if one["value"].is_null() { &one["histogram"] } else { &one["value"] };
                vec![value_of(point), name_of(&one["metric"])]
            }));
            if rows.len() == 1 {
                return Ok("no series\n".into());
            }
            out.push_str(&table(&rows, &[true]));
        }
        Some("matrix") => {
            for one in series() {
                out.push_str(&name_of(&one["metric"]));
                out.push('\n');
                let points = |key: &str| one[key].as_array().into_iter().flatten();
                let mut points: Vec<&Value> = points("values").chain(points("histograms")).collect();
                points.sort_by(|a, b| seconds_of(a).total_cmp(&seconds_of(b)));
                let rows: Vec<Vec<String>> = points
                    .into_iter()
                    .map(|point| {
                        vec![format!("  {}", rfc3339_ms((seconds_of(point) * 1000.0).round() as i64)), value_of(point)]
                    })
                    .collect();
                out.push_str(&table(&rows, &[false, true]));
            }
            if out.is_empty() {
                out.push_str("no series\n");
            }
        }
        other => return Err(format!("the server answered with a result of type {other:?}").into()),
    }
    Ok(out)
}

fn seconds_of(point: &Value) -> f64 {
    point[0].as_f64().unwrap_or(f64::NAN)
}

/// A float as the server wrote it; of a histogram what tells most.
fn value_of(point: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match &point[1] {
        Value::Object(histogram) => {
            let of = |key: &str| histogram.get(key).map(text).unwrap_or_default();
            format!("count={} sum={}", of("count"), of("sum"))
        }
        value => text(value),
    }
}

/// `up{job="api"}`; `{}` where there are no labels.
fn name_of(metric: &Value) -> String {
    let pairs = metric.as_object().into_iter().flatten();
    let labels = Labels::from_pairs(pairs.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))));
    labels.to_string()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: QueryArgs,
    }

    #[test]
    fn what_was_said_becomes_a_request() {
        const NOW: i64 = 1_795_226_400_500;
        for (words, expected) in [
            (vec!["up"], Ok("query query=up time=1795226400.5")),
            (vec!["up", "--time", "now-1h"], Ok("query query=up time=1795222800.5")),
            (vec!["up", "--time", "2026-11-21T02:00:00Z"], Ok("query query=up time=1795226400")),
            (
                vec!["up", "--since", "1h", "--step", "30s", "--time", "1795226400"],
                Ok("query_range query=up start=1795222800 end=1795226400 step=30"),
            ),
            (
                vec!["up", "--since", "2h", "--time", "1795226400"],
                Ok("query_range query=up start=1795219200 end=1795226400 step=120"),
            ),
            (vec!["up", "--since", "5s", "--time", "10"], Ok("query_range query=up start=5 end=10 step=1")),
            (vec!["up", "--time", "soon"], Err("--time \"soon\"")),
            (vec!["up", "--since", "0s"], Err("--since \"0s\"")),
            (vec!["up", "--since", "1h", "--step", "x"], Err("--step \"x\"")),
        ] {
            let line = Line::try_parse_from(["query"].iter().chain(&words)).unwrap_or_else(|error| panic!("{error}"));
            let found = request(&line.args, NOW).map(|(path, form)| {
                let form: String = form.iter().map(|(name, value)| format!(" {name}={value}")).collect();
                format!("{path}{form}")
            });
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{words:?}"),
                (Err(error), Err(says)) => assert!(error.to_string().contains(says), "{words:?}: {error}"),
                (found, expected) => panic!("{words:?}: {found:?}, not {expected:?}"),
            }
        }
        assert!(Line::try_parse_from(["query", "up", "--step", "5s"]).is_err());
    }

    #[test]
    fn answers_are_tables() {
        let up = json!({"__name__": "up", "job": "api"});
        let histogram = json!({"count": "7", "sum": "2.5", "buckets": []});
        for (data, expected) in [
            (json!({"resultType": "scalar", "result": [1.5, "2"]}), "2\n"),
            (json!({"resultType": "string", "result": [1, "a b"]}), "a b\n"),
            (json!({"resultType": "vector", "result": []}), "no series\n"),
            (json!({"resultType": "matrix", "result": []}), "no series\n"),
            (
                json!({"resultType": "vector", "result": [
                    {"metric": up, "value": [1, "0.25"]}, {"metric": {}, "value": [1, "+Inf"]},
                    {"metric": {"http.status": "5\"00"}, "histogram": [1, histogram]},
                ]}),
                "          VALUE  SERIES\n           0.25  up{job=\"api\"}\n           +Inf  {}\n\
                 count=7 sum=2.5  {\"http.status\"=\"5\\\"00\"}\n",
            ),
            (
                json!({"resultType": "matrix", "result": [
                    {"metric": up, "values": [[0, "1"], [60.5, "22"]], "histograms": [[30, histogram]]},
                ]}),
                "up{job=\"api\"}\n\
                 \x20 1970-01-01T00:00:00.000Z                1\n\
                 \x20 1970-01-01T00:00:30.000Z  count=7 sum=2.5\n\
                 \x20 1970-01-01T00:01:00.500Z               22\n",
            ),
        ] {
            assert_eq!(shown(&data).unwrap(), expected, "{data}");
        }
        assert!(shown(&json!({"resultType": "streams"})).is_err());
    }
}
