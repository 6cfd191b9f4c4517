//! Ways to a mail server, and what it may answer.

use model::alert::Outcome;

use crate::fakes::smtp::{Mode, Security};
use crate::world::{World, firing, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_of_encryption_arrives() {
    for security in [Security::Plain, Security::StartTls, Security::Implicit] {
        let mut world = World::with_mail(security).await;
        let options = match security {
            Security::Plain => "require_tls: false",
            Security::StartTls => "tls_config: {ca_file: ca.pem}",
            Security::Implicit => "tls_config: {ca_file: ca.pem}, x: {implicit_tls: true}",
        };
        let receiver = format!("- {{name: own, email_configs: [{{to: a@example.org, {options}}}]}}");
        world.start(world.config("{receiver: own, group_wait: 0s}", &receiver));
        world.commit(&[firing("HostDown", "web-1", "critical")]);
        world.attempted(Outcome::Accepted, 1).await;
        world.smtp.seen.see(|seen| assert_eq!(seen.mails[0].encrypted, security != Security::Plain, "{security:?}"));
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_goes_out_in_the_clear_or_to_a_stranger() {
    for (security, options) in [(Security::Plain, "tls_config: {ca_file: ca.pem}"), (Security::StartTls, "hello: me")] {
        let mut world = World::with_mail(security).await;
        let receiver = format!("- {{name: own, email_configs: [{{to: a@example.org, {options}}}]}}");
        world.start(world.config("{receiver: own, group_wait: 0s}", &receiver));
        world.commit(&[firing("HostDown", "web-1", "critical")]);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while world.attempts().is_empty() {
            assert!(std::time::Instant::now() < deadline, "{security:?}: no attempt");
            tokio::task::yield_now().await;
        }
        assert_ne!(world.attempts()[0].outcome, Outcome::Accepted, "{security:?}");
        world.smtp.seen.see(|seen| assert!(seen.mails.is_empty()));
        world.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_refused_address_does_not_keep_the_mail_from_the_others() {
    let mut world = World::new().await;
    world.smtp.set_mode(Mode::Rcpt("gone@example.org".into(), "550 no such user"));
    let receiver = "- {name: own, email_configs: [{to: 'a@example.org, gone@example.org, b@example.org', tls_config: {ca_file: ca.pem}}]}";
    world.start(world.config("{receiver: own, group_wait: 0s}", receiver));
    world.commit(&[firing("HostDown", "web-1", "critical")]);
    let accepted = world.attempted(Outcome::Accepted, 1).await;
    assert!(
        accepted[0].words.contains("gone@example.org") && accepted[0].words.contains("no such user"),
        "{accepted:?}"
    );
    world.smtp.seen.see(|seen| {
        let to: Vec<&str> = seen.mails.iter().flat_map(|mail| &mail.to).map(String::as_str).collect();
        assert_eq!(to, ["a@example.org", "b@example.org"]);
    });
    // Whoever looks at the channel sees that somebody is never told.
    let view = || world.notifier().receivers().into_iter().find(|view| view.name == "own").unwrap().channels.remove(0);
    until("the channel's error", || view().last_error.contains("gone@example.org")).await;
    let view = view();
    assert!(view.last_failure_ms >= view.last_success_ms && !view.broken, "{view:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_asks_for_patience_gets_the_mail_later() {
    let mut world = World::new().await;
    world.smtp.set_mode(Mode::Data("451 try later"));
    world.start(world.route_to("mail"));
    world.commit(&[firing("HostDown", "web-1", "critical")]);
    let waited = world.attempted(Outcome::Transient, 2).await;
    assert_eq!(waited[0].status, 451);
    world.smtp.set_mode(Mode::Ok);
    world.attempted(Outcome::Accepted, 1).await;
    world.smtp.seen.see(|seen| assert_eq!(seen.mails.len(), 1));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_took_the_mail_does_not_get_it_again_with_the_late_ones() {
    let mut world = World::new().await;
    world.smtp.set_mode(Mode::Rcpt("busy@example.org".into(), "451 try later"));
    let receiver =
        "- {name: own, email_configs: [{to: 'a@example.org, busy@example.org', tls_config: {ca_file: ca.pem}}]}";
    world.start(world.config("{receiver: own, group_wait: 0s}", receiver));
    world.commit(&[firing("HostDown", "web-1", "critical")]);
    world.attempted(Outcome::Transient, 2).await;
    world.smtp.set_mode(Mode::Ok);
    world.attempted(Outcome::Accepted, 1).await;
    world.smtp.seen.see(|seen| {
        let to: Vec<&str> = seen.mails.iter().flat_map(|mail| &mail.to).map(String::as_str).collect();
        assert_eq!(to, ["a@example.org", "busy@example.org"]);
    });
    world.stop().await;
}
