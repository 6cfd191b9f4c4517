//! The HTTP API: the same requests, and the same status, body and content type.

use std::collections::BTreeMap;

use crate::data::{self, SPAN_S};
use crate::differences::{self, Order};
use crate::peer::{Pair, Reply};

/// The first difference between two replies, if any.
fn difference(ours: &Reply, theirs: &Reply) -> Option<String> {
    let kind =
        |reply: &Reply| reply.headers.get("content-type").map(|kind| kind.to_str().unwrap_or_default().to_owned());
    if ours.status != theirs.status {
        return Some(format!("{} {}, theirs {} {}", ours.status, ours.text, theirs.status, theirs.text));
    }
    if kind(ours) != kind(theirs) {
        return Some(format!("content-type {:?}, theirs {:?}", kind(ours), kind(theirs)));
    }
    let (ours, theirs) = (ours.json(), theirs.json());
    if theirs["status"] == "success" && theirs["data"].get("resultType").is_some() {
        return differences::of_answers(&ours, &theirs, Order::None);
    }
    let [ours, theirs] = [ours, theirs].map(differences::comparable);
    (ours != theirs).then(|| format!("{ours}\n        theirs {theirs}"))
}

#[tokio::test]
async fn requests_have_the_same_replies() {
    let now_s = i64::try_from(binnacle::clock::now_ns() / 1_000_000_000).unwrap();
    let start_s = (now_s - SPAN_S - 1_800) / 3_600 * 3_600;
    let Some(pair) = Pair::with(&data::series(chance::seed(1), start_s * 1000)).await else { return };
    let words = BTreeMap::from([
        ("$start", start_s.to_string()),
        ("$middle", (start_s + SPAN_S / 2).to_string()),
        ("$end", (start_s + SPAN_S).to_string()),
        ("$after", (start_s + 2 * SPAN_S).to_string()),
    ]);
    let mut told = Vec::new();
    for request in REQUESTS {
        let mut text = (*request).to_owned();
        for (word, value) in &words {
            text = text.replace(word, value);
        }
        let (path, params) = text.split_once(' ').unwrap_or((&text, ""));
        let params: Vec<(&str, &str)> = params
            .split(" & ")
            .filter(|one| !one.is_empty())
            .map(|one| one.split_once('=').unwrap_or((one, "")))
            .collect();
        let path = format!("/api/v1/{path}");
        let mut replies = vec![pair.get(&path, &params).await];
        if POSTED.iter().any(|posted| path.ends_with(posted)) {
            replies.push(pair.post(&path, &params).await);
        }
        for [ours, theirs] in replies {
            if let Some(difference) = difference(&ours, &theirs) {
                told.push(format!("{request}\n    {difference}"));
            }
        }
    }
    assert!(told.is_empty(), "{}", told.join("\n"));
}

/// Where Prometheus takes a POST form too.
const POSTED: [&str; 6] = ["/query", "/query_range", "/query_exemplars", "/series", "/labels", "/format_query"];

/// Below `/api/v1/`: path, then parameters.
const REQUESTS: &[&str] = &[
    "query",
    "query query=",
    "query query=1 & time=$middle",
    "query query=1 & time=x",
    "query query=\"text\" & time=$middle",
    "query query=time() & time=$middle.123",
    "query query=time() & time=2024-02-03T04:05:06Z",
    "query query=time() & time=2024-02-03T04:05:06.789+02:00",
    "query query=time() & time=2024-02-03 04:05:06",
    "query query=time() & time=1e9",
    "query query=time() & time=-1",
    "query query=requests_total & time=$middle",
    "query query=requests_total[2m] & time=$middle",
    "query query=nothing & time=$middle",
    "query query=nothing[2m] & time=$middle",
    "query query=spoken & time=$middle",
    "query query=1 & timeout=x",
    "query query=1 & time=$middle & timeout=10s",
    "query query=1 & time=$middle & timeout=1.5",
    "query query=1 & time=$middle & unknown=x",
    "query_range query=1 & start=$start & end=$end & step=60",
    "query_range query=1 & start=$start & end=$start & step=60",
    "query_range query=level & start=$start & end=$end & step=5m",
    "query_range query=level & start=$start & end=$end & step=1m30s",
    "query_range query=level & start=$start & end=$end & step=0.5",
    "query_range query=level & start=$start & end=$end & step=.7",
    "query_range query=level & start=$start & end=$end & step=7.3339",
    "query_range query=level & start=$start & end=$end & step=1e10",
    "query_range query=level & start=$end & end=$start & step=60",
    "query_range query=level & start=$start & end=$end & step=0",
    "query_range query=level & start=$start & end=$end & step=-1",
    "query_range query=level & start=$start & end=$end & step=x",
    "query_range query=level & start=$start & end=$end & step=",
    "query_range query=level & start=$start & end=$end",
    "query_range query=level & start=$start & step=60",
    "query_range query=level & end=$end & step=60",
    "query_range start=$start & end=$end & step=60",
    "query_range",
    "query_range query=level & start=0 & end=11000 & step=1",
    "query_range query=level & start=0 & end=11001 & step=1",
    "query_range query=level[1m] & start=$start & end=$end & step=60",
    "query_range query=\"x\" & start=$start & end=$end & step=60",
    "query_range query=sum( & start=$start & end=$end & step=60",
    "query query=rate(level) & time=$middle",
    "query query=level and 1 & time=$middle",
    "query query={} & time=$middle",
    "query query={__name__=~\".*\"} & time=$middle",
    "query query=foo{a=~\"(\"} & time=$middle",
    "query query=requests_total + temperature & time=$middle",
    "query query=requests_total + on (job) level & time=$middle",
    "query query=requests_total + on (job) group_left level & time=$middle",
    "query query=level + on (job) level & time=$middle",
    "query query=label_replace(level, \"instance\", \"\", \"\", \"\") & time=$middle",
    "query query=label_replace(level, \"a\", \"x\", \"b\", \"(\") & time=$middle",
    "query query=topk(1e30, level) & time=$middle",
    "query query=quantile(scalar(nothing), level) & time=$middle",
    "series",
    "series match[]=requests_total",
    "series match[]=requests_total{job=\"api\"} & match[]=level & start=$start & end=$end",
    "series match[]=level & start=$after & end=$after",
    "series match[]=level & start=$end & end=$start",
    "series match[]=level & start=x",
    "series match[]=level & end=x",
    "series match[]={}",
    "series match[]={job=~\".*\"}",
    "series match[]=sum(level)",
    "series match[]=level[5m]",
    "series match[]=level{",
    "series match[]=",
    "series match[]=nothing",
    "series match[]={__name__=~\"l.*\"} & start=$start & end=$start",
    "labels",
    "labels match[]=requests_total",
    "labels match[]=requests_total & match[]=temperature",
    "labels match[]=nothing",
    "labels match[]={",
    "labels match[]={}",
    "labels start=$start & end=$end",
    "labels start=$after & end=$after",
    "labels start=x",
    "labels end=x",
    "labels start=$end & end=$start",
    "label/job/values",
    "label/job/values match[]=level",
    "label/job/values match[]=level{job=\"web\"} & match[]=nothing",
    "label/__name__/values",
    "label/__name__/values match[]={job=\"web\"}",
    "label/nothing/values",
    "label/text/values",
    "label/job/values start=$after & end=$after",
    "label/job/values start=x",
    "label/job/values match[]={",
    "label/job/values match[]={}",
    "label/code/values start=$start & end=$end & match[]=requests_total{code=~\"4..|5..\"}",
    "metadata limit=x",
    "metadata metric=nothing",
    "query_exemplars query=requests_total & start=$start & end=$end",
    "query_exemplars query=requests_total & start=$end & end=$start",
    "query_exemplars query=( & start=$start & end=$end",
    "query_exemplars start=$start & end=$end",
    "query_exemplars query=requests_total & start=x",
    "query_exemplars query=requests_total",
    "format_query query=sum by(job)(rate(requests_total{code=~\"5..\"}[5m]))>0",
    "format_query query=foo  /  on(a)  group_left(b) bar",
    "format_query query=(",
    "format_query",
    "format_query query=1",
    "format_query query=-foo offset 5m @ 100",
    "format_query query=foo[5m:1m] offset -1h",
    "format_query query=\"a\\\"b\"",
    "format_query query=topk(5,foo) by (x)",
    "rules",
    "rules type=alert",
    "rules type=record",
    "rules type=x",
    "alerts",
    "targets",
    "targets state=active",
    "targets state=dropped",
    "targets/metadata",
    "targets/metadata limit=x",
    "targets/metadata match_target={",
    "alertmanagers",
    "status/walreplay",
];
