//! A program that is run when an alert could not be told to anybody: the last way out of the room, for a siren or a modem.

use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use model::time::rfc3339_ms;
use tokio::task::JoinSet;

use crate::outbox::Undelivered;

/// Programs that run at once; of more, the alert is only logged and shown.
const AT_ONCE: usize = 4;
/// Longest that one may run.
const WITHIN: Duration = Duration::from_secs(30);
/// Between two looks whether it ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The programs that run now.
#[derive(Default)]
pub(crate) struct Hooks(JoinSet<()>);

impl Hooks {
    /// Begins the program for one alert; `command` is its path and its arguments. Does not wait.
    pub(crate) fn run(&mut self, command: &[String], tenant: &str, alert: &Undelivered) {
        let Some((program, arguments)) = command.split_first() else { return };
        while self.0.try_join_next().is_some() {}
        if self.0.len() >= AT_ONCE {
            let subject = &alert.subject;
            tracing::error!(subject, "x.undelivered_exec is not run: {AT_ONCE} of it run already");
            return;
        }
        let mut command = Command::new(program);
        // Nothing of our own surroundings, where secrets of notify.yml may be.
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.envs([
            ("BINNACLE_TENANT", tenant),
            ("BINNACLE_SUBJECT", &alert.subject),
            ("BINNACLE_CHANNEL", &alert.channel),
            ("BINNACLE_REASON", &alert.reason),
            ("BINNACLE_SINCE", &rfc3339_ms(alert.since_ms)),
            ("BINNACLE_CRITICAL", if alert.critical { "true" } else { "false" }),
        ]);
        let (program, subject) = (program.clone(), alert.subject.clone());
        self.0.spawn_blocking(move || match wait(command) {
            Ok(status) if status.success() => tracing::info!(subject, program, "x.undelivered_exec ran"),
            Ok(status) => tracing::error!(subject, program, "x.undelivered_exec ended with {status}"),
            Err(reason) => tracing::error!(subject, program, "x.undelivered_exec did not run: {reason}"),
        });
    }

    /// Waits until all that run have ended.
    #[cfg(test)]
    pub(crate) async fn ended(&mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

/// Runs a program to its end, or ends it when that takes too long.
fn wait(mut command: Command) -> Result<ExitStatus, String> {
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let deadline = Instant::now() + WITHIN;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK_EVERY),
            Ok(None) => {
                let killed = child.kill().and_then(|()| child.wait());
                let ended = if killed.is_ok() { "it was ended" } else { "and it cannot be ended" };
                return Err(format!("not done within {} s; {ended}", WITHIN.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use model::Labels;
    use store::{Alerts, Evaluation};

    use crate::Config;
    use crate::engine::{Engine, Orders};
    use crate::fixtures::firing;
    use crate::notifier::NotifierOptions;

    #[tokio::test]
    async fn a_program_is_run_once_for_what_nobody_could_be_told() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        // Nobody listens at port 9.
        let text = format!(
            "route: {{receiver: a, group_wait: 0s}}\nreceivers: [{{name: a, webhook_configs: [{{url: 'http://127.0.0.1:9/'}}]}}]\nx:\n  undelivered_exec: [/bin/sh, -c, 'echo \"$BINNACLE_TENANT $BINNACLE_CRITICAL $BINNACLE_SUBJECT $HOME\" >> {}']\n",
            out.display()
        );
        let config = Config::parse(&text, "notify.yml", Path::new(".")).unwrap();
        let alerts = Alerts::open(&dir.path().join("alerts.redb")).unwrap();
        let instance = firing(Labels::from_pairs([("alertname", "Down"), ("severity", "critical")]), 0);
        let evaluation =
            Evaluation { upserts: vec![instance.clone()], notices: vec![instance], ..Evaluation::default() };
        let mut engine = Engine::open(alerts.clone(), "t7", config, NotifierOptions::new("http://here"), 0).unwrap();
        alerts.commit_evaluation(&evaluation).unwrap();
        for now_ms in [0, 2_000, 4_000, 6_000, 8_000, 10_000] {
            engine.turn(Orders::default(), now_ms).await;
            engine.finish_begun(now_ms).await;
        }
        engine.hooks.ended().await;
        assert_eq!(std::fs::read_to_string(out).unwrap(), "t7 true Down \n");
    }
}
