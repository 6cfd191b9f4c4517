//! Charts in messages: where they go, and that nothing waits for them or fails with them.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use model::alert::{Instance, Outcome};
use notify::ChartSource;

use crate::world::{World, ended, firing, until};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn svg(alerts: &[Instance]) -> Option<String> {
    assert!(alerts.iter().all(|alert| alert.rule_id == alerts[0].rule_id));
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"80\" height=\"40\"><text y=\"20\">{}</text></svg>",
        alerts.len()
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chart_stands_in_the_mail_and_in_the_thread() {
    let mut world = World::new().await;
    world.charts = Some(ChartSource::new(|alerts, _| svg(alerts)));
    world.start(world.route_to("all"));
    let alert = firing("HostDiskFull", "web-1", "critical");
    world.commit(std::slice::from_ref(&alert));
    world.attempted(Outcome::Accepted, 3).await;
    until("a shared file", || world.slack.seen.see(|seen| !seen.shared.is_empty())).await;
    world.commit(&[ended(&alert)]);
    world.attempted(Outcome::Accepted, 6).await;
    world.slack.seen.see(|seen| {
        assert_eq!(seen.messages.len(), 1);
        assert_eq!(
            seen.shared,
            [(seen.messages[0].channel.clone(), seen.messages[0].ts.clone())],
            "the first one only"
        );
        assert!(seen.files.len() == 1 && seen.files[0].1.starts_with(PNG), "{:?}", seen.files);
    });
    world.smtp.seen.see(|seen| {
        for mail in &seen.mails {
            let text = &mail.text;
            let cid = text.split_once("Content-ID: <").unwrap().1.split_once('>').unwrap().0;
            // Lines of quoted-printable end in `=`.
            assert!(text.replace("=\r\n", "").contains(&format!("src=3D\"cid:{cid}\"")), "{text}");
            for part in ["multipart/alternative", "multipart/related", "image/png", "inline", "iVBORw0KGgo"] {
                assert!(text.contains(part), "{part} in {text}");
            }
        }
        assert_eq!(seen.mails.len(), 2);
    });
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_waits_for_a_chart() {
    let mut world = World::new().await;
    world.timing.chart_wait_ms = 50;
    // Draws for as long as the test lasts.
    let (end, ended) = mpsc::channel::<()>();
    let ended = Arc::new(Mutex::new(ended));
    world.charts = Some(ChartSource::new(move |_, _| {
        ended.lock().unwrap().recv().unwrap_err();
        None
    }));
    world.start(world.route_to("all"));
    world.commit(&[firing("A", "web-1", "critical")]);
    world.attempted(Outcome::Accepted, 3).await;
    world.smtp.seen.see(|seen| assert!(!seen.mails[0].text.contains("image/png")));
    world.stop().await;
    drop(end);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_scope_messages_go_on_and_slack_is_asked_once() {
    let mut world = World::new().await;
    world.slack.seen.change(|seen| seen.files_scope = false);
    world.charts = Some(ChartSource::new(|alerts, _| svg(alerts)));
    world.start(world.config("{receiver: slack, group_wait: 0s, group_by: [alertname]}", ""));
    let asked = |world: &World| {
        let of_files = |seen: &crate::fakes::slack::Seen| {
            seen.requests.iter().filter(|(method, _)| method.starts_with("files.")).count()
        };
        world.slack.seen.see(of_files)
    };
    world.commit(&[firing("A", "web-1", "critical")]);
    world.attempted(Outcome::Accepted, 1).await;
    until("the question for an upload", || asked(&world) == 1).await;
    // The answer is taken in with the next message, whenever that is.
    for (count, name) in (2..).zip(["B", "C", "D"]) {
        world.commit(&[firing(name, "web-1", "critical")]);
        world.attempted(Outcome::Accepted, count).await;
    }
    assert!(asked(&world) <= 2, "{}", asked(&world));
    let health = &world.notifier().receivers()[0].channels[0];
    assert!(!health.broken && health.last_error.is_empty(), "{health:?}");
    world.stop().await;
}
