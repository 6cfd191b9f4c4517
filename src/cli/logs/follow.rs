//! Records as they come: reads the server's events, and comes back to where it was when the connection breaks.

use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::{LogsArgs, Out, Stop, since};

/// Between two attempts to connect, doubled from the first to the last.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_LAST: Duration = Duration::from_secs(10);
/// Longer than the server is ever silent: it sends a comment every 15 s.
const SILENT_MAX: Duration = Duration::from_secs(45);
/// Records of before that the server sends at most.
const LAST_MAX: usize = 1_000;
/// Longest event read; a record may have a body of some MB.
const EVENT_BYTES_MAX: usize = 64 << 20;

/// Runs until it is stopped, the reader is gone, or the server refuses the search.
pub(super) async fn run(args: &LogsArgs, out: &mut Out) -> Result<(), Stop> {
    let mut place: Option<String> = None;
    let mut wait = RETRY_FIRST;
    let mut told = false;
    loop {
        let mut form = vec![("q", args.query.clone())];
        match &place {
            Some(place) => form.push(("cursor", place.clone())),
            None => {
                let last = if args.limit == 0 { LAST_MAX } else { args.limit.min(LAST_MAX) };
                form.push(("last", last.to_string()));
                form.push(("from", since(args)?));
            }
        }
        let connected = args.server.open("logs/tail", &form).await;
        let broke = match connected {
            Ok(response) => {
                (wait, told) = (RETRY_FIRST, false);
                read(response, &mut place, out).await?
            }
            // A search that is wrong stays wrong.
            Err(refused) if !refused.can_retry => return Err(Stop::Failed(refused.reason)),
            // Before anything was seen a wrong address is likelier than a server that is just away.
            Err(refused) if place.is_none() => return Err(Stop::Failed(refused.reason)),
            Err(refused) => refused.reason,
        };
        if !told && !broke.is_empty() {
            eprintln!("binnacle: {broke}; trying again");
            told = true;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY_LAST);
    }
}

/// Reads events until the connection ends; returns why it did, empty where the server meant it.
async fn read(mut response: reqwest::Response, place: &mut Option<String>, out: &mut Out) -> Result<String, Stop> {
    let mut pending: Vec<u8> = Vec::new();
    loop {
        let chunk = match tokio::time::timeout(SILENT_MAX, response.chunk()).await {
            Err(_) => return Ok(format!("the server was silent for {} s", SILENT_MAX.as_secs())),
            Ok(Err(error)) => return Ok(format!("the connection broke: {error}")),
            Ok(Ok(None)) => return Ok(String::new()),
            Ok(Ok(Some(chunk))) => chunk,
        };
        pending.extend_from_slice(&chunk);
        let mut begin = 0;
        while let Some(end) = memchr_blank_line(&pending[begin..]) {
            let event = String::from_utf8_lossy(&pending[begin..begin + end]).into_owned();
            begin += end + 2;
            one(&event, place, out)?;
        }
        pending.drain(..begin);
        out.to.flush()?;
        if pending.len() > EVENT_BYTES_MAX {
            return Err(Stop::Failed(format!("an event of the server has more than {EVENT_BYTES_MAX} bytes")));
        }
    }
}

/// Where an event ends.
fn memchr_blank_line(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|pair| pair == b"\n\n")
}

fn one(event: &str, place: &mut Option<String>, out: &mut Out) -> Result<(), Stop> {
    let (mut name, mut data, mut id) = ("", String::new(), None);
    for line in event.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = value,
            "id" => id = Some(value.to_owned()),
            "data" => {
                if !data.is_empty() {
                    data.push('\n');
                }
                data.push_str(value);
            }
            _ => {}
        }
    }
    let json: Value = serde_json::from_str(&data).unwrap_or(Value::Null);
    match name {
        "" if !data.is_empty() => out.show(&data, &json)?,
        "skipped" => {
            out.to.flush()?;
            eprintln!("binnacle: {} records came too fast and are skipped", json["skipped"]);
        }
        "fault" => {
            out.to.flush()?;
            eprintln!("binnacle: {}", json["error"].as_str().unwrap_or_default());
        }
        _ => {}
    }
    // Only what was printed is behind us.
    *place = id.or_else(|| place.take());
    Ok(())
}
