//! The appliance running: opens the store, starts the loops and the doors, and stops them in order.
//!
//! Start: listen (answering `/ready` with 503), open and recover, then serve. Stop: doors refuse, what is under way ends,
//! rules and notifications stop, the store drains and closes.

pub mod files;
mod loops;
mod settings;
mod starting;
mod tenants;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use files::RuleFiles;
use model::TenantId;
use store::Store;
use tokio::net::{TcpListener, UdpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{Config, ConfigError};
use crate::forward::Forwarder;
use crate::scrape::{Jobs, Reloader, Scraper};
use crate::{clock, control, host_metrics};

/// Why the appliance did not start or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("cannot listen at {addr} ({key}): {source}; is another program there?")]
    Listen { key: &'static str, addr: SocketAddr, source: std::io::Error },
    #[error("opening {path}: {source}")]
    Open { path: String, source: store::StoreError },
    #[error("{what}: {source}")]
    Io { what: &'static str, source: std::io::Error },
    #[error(transparent)]
    Notify(#[from] notify::ConfigError),
    #[error(transparent)]
    Scrape(#[from] crate::scrape::ScrapeError),
    #[error(transparent)]
    Forward(#[from] crate::forward::ForwardError),
    #[error("closing the store: {0}")]
    Close(store::StoreError),
    #[error("{task} ended by itself")]
    TaskEnded { task: &'static str },
}

/// The three listeners, bound.
struct Listeners {
    http: TcpListener,
    otlp_http: TcpListener,
    otlp_grpc: TcpListener,
    syslog_tcp: Option<TcpListener>,
    syslog_udp: Option<UdpSocket>,
}

/// Runs until SIGTERM or SIGINT. Prints the `ready` line when every door is open. `again` reads the configuration anew, for a SIGHUP.
pub async fn run(
    config: Config,
    again: impl Fn() -> Result<Config, ConfigError> + Send + Sync + 'static,
) -> Result<(), AppError> {
    let signals = Signals::install()?;
    let listeners = Listeners {
        http: bind("listen.http", config.listen.http).await?,
        otlp_http: bind("listen.otlp_http", config.listen.otlp_http).await?,
        otlp_grpc: bind("listen.otlp_grpc", config.listen.otlp_grpc).await?,
        syslog_tcp: match config.syslog.tcp {
            Some(addr) => Some(bind("syslog.tcp", addr).await?),
            None => None,
        },
        syslog_udp: match config.syslog.udp {
            Some(addr) => Some(bind_udp("syslog.udp", addr).await?),
            None => None,
        },
    };
    let starting =
        starting::answer_not_ready(&listeners.http).map_err(|source| AppError::Io { what: "listen.http", source })?;
    let opened = open(&config).await;
    starting.end().await;
    let app = App::start(config, opened?, listeners).await?;
    app.run_until(signals, Arc::new(again)).await
}

async fn bind(key: &'static str, addr: SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(addr).await.map_err(|source| AppError::Listen { key, addr, source })
}

async fn bind_udp(key: &'static str, addr: SocketAddr) -> Result<UdpSocket, AppError> {
    UdpSocket::bind(addr).await.map_err(|source| AppError::Listen { key, addr, source })
}

async fn open(config: &Config) -> Result<Store, AppError> {
    let options = settings::store(config);
    let path = options.dir.display().to_string();
    blocking(move || Store::open(options, clock::now_ms())).await.map_err(|source| AppError::Open { path, source })
}

/// Blocking work on its own thread; a panic there is ours, and ends here.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    fn install() -> Result<Signals, AppError> {
        let on = |kind| signal(kind).map_err(|source| AppError::Io { what: "signals", source });
        Ok(Signals {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hang_up: on(SignalKind::hangup())?,
        })
    }
}

struct App {
    config: Config,
    store: Store,
    rule_files: RuleFiles,
    /// Whether there was a notify.yml, now or before.
    has_notify_file: bool,
    /// Of the default tenant and of those that have rules beside it.
    alerting: Vec<server::Alerting>,
    scraping: Reloader,
    reloaded: server::Reloaded,
    dashboards: server::Dashboards,
    /// Ends the doors.
    stop_doors: watch::Sender<bool>,
    doors: JoinSet<&'static str>,
    /// Ends everything else, after the doors.
    stop_loops: watch::Sender<bool>,
    loops: JoinSet<&'static str>,
}

impl App {
    async fn start(mut config: Config, store: Store, listeners: Listeners) -> Result<App, AppError> {
        let started_ms = clock::now_ms();
        if config.notify.external_url.is_empty() {
            config.notify.external_url = settings::own_url(local(&listeners.http)?);
        }
        let (mut rule_files, of_rules) = (RuleFiles::default(), config.rules.clone());
        let (rule_files, (groups, wrong)) = blocking(move || {
            let read = rule_files.read(&of_rules);
            (rule_files, read)
        })
        .await;
        settings::warn_of_proxies(&config);
        let told = files::notify(&config.notify.file)?;
        let has_notify_file = told.is_some();
        let told = told.unwrap_or_else(notify::Config::silent);
        files::warn_of(&told, &config.rules);
        let options = settings::rules(&config, started_ms);
        let opener = tenants::Opener {
            config: &config,
            store: &store,
            groups: &groups,
            told: &told,
            limits: &notify::ServiceLimits::default(),
            options: &options,
        };
        let alerting = opener.open(TenantId::default()).await?;
        let others = opener.named().await?;
        let left = opener.left().await?;
        let ready_line = format!(
            "ready http={} otlp_http={} otlp_grpc={}",
            local(&listeners.http)?,
            local(&listeners.otlp_http)?,
            local(&listeners.otlp_grpc)?
        );
        let settings =
            settings::server(&config, local(&listeners.otlp_http)?, local(&listeners.otlp_grpc)?, started_ms);
        let own_settings = settings.metrics.clone();
        let forwarder = Forwarder::new(&config.alertmanagers)?;
        let state = server::State::new(store.clone(), alerting.clone(), settings)
            .with_others(others.iter().cloned())
            .with_alertmanagers(forwarder.urls().map(|(url, tenant)| (url.to_owned(), tenant.cloned())));
        let own_tenant = alerting.tenant.clone();
        let alerting: Vec<_> = std::iter::once(alerting).chain(others).collect();

        let (scraper, scraping) = Scraper::new(
            Jobs::new(&config.scrape)?,
            store.clone(),
            state.targets.clone(),
            own_settings.clone(),
            config.limits.future.std(),
        );
        let reloaded = state.reloaded.clone();
        reloaded.tell(wrong, started_ms);
        let dashboards = state.dashboards.clone();
        {
            let (dashboards, files) = (dashboards.clone(), config.dashboards.clone());
            blocking(move || dashboards.replace(files::dashboards_for_pages(&files))).await;
        }

        let (stop_doors, doors_stopped) = watch::channel(false);
        let (stop_loops, loops_stopped) = watch::channel(false);
        let mut loops = JoinSet::new();
        let control_socket =
            control::listen(&config.data).map_err(|source| AppError::Io { what: "control socket", source })?;
        {
            let (all, stopped) = (store.clone(), loops_stopped.clone());
            loops.spawn(async move {
                control::serve(control_socket, all, stopped).await;
                "control socket"
            });
            let of_all = alerting.iter().map(|of| notify::Watched {
                notifier: of.notifier.clone(),
                ill: Box::new(loops::illness(store.clone(), of.rules.clone())),
            });
            let (of_all, stopped) = (of_all.collect(), loops_stopped.clone());
            loops.spawn(async move {
                notify::watch(of_all, stopped).await;
                "dead man's switch"
            });
            alerting.iter().chain(&left).for_each(|of| tenants::spawn(of, &mut loops, &loops_stopped));
            {
                let rules = alerting.iter().map(|of| (of.tenant.clone(), of.rules.clone())).collect();
                let (external_url, stopped) = (settings::external_url(&config), loops_stopped.clone());
                loops.spawn(async move {
                    forwarder.run(rules, external_url, stopped).await;
                    "alertmanagers"
                });
            }
            loops.spawn(loops::upkeep(store.clone(), loops_stopped.clone()));
            let interval = config.host_metrics.interval.std();
            loops.spawn(loops::log_counts(store.clone(), interval, loops_stopped.clone()));
            let stopped = loops_stopped.clone();
            loops.spawn(async move {
                scraper.run(stopped).await;
                "scraping"
            });
            let own = loops::OwnReadings {
                state: state.clone(),
                others: alerting.iter().map(|of| of.tenant.clone()).filter(|tenant| *tenant != own_tenant).collect(),
                tenant: own_tenant,
                settings: own_settings,
                hostname: host_metrics::hostname(),
                with_host: config.host_metrics.enabled,
                interval: config.host_metrics.interval.std(),
            };
            loops.spawn(loops::own_readings(own, loops_stopped));
        }

        let mut doors = JoinSet::new();
        let limits =
            server::ServeLimits { connections_max: config.listen.connections, ..server::ServeLimits::default() };
        // The configuration was checked, so it is a tenant's name.
        let syslog_tenant = TenantId::new(&config.syslog.tenant).unwrap_or_default();
        if let Some(listener) = listeners.syslog_tcp {
            tracing::info!(addr = %local(&listener)?, "syslog over TCP");
            let (state, tenant, stopped) = (state.clone(), syslog_tenant.clone(), doors_stopped.clone());
            let connections_max = config.syslog.connections;
            doors.spawn(async move {
                server::serve_syslog_tcp(listener, state, tenant, connections_max, stopped).await;
                "syslog_tcp"
            });
        }
        if let Some(socket) = listeners.syslog_udp {
            let addr = socket.local_addr().map_err(|source| AppError::Io { what: "listener", source })?;
            tracing::info!(%addr, "syslog over UDP");
            let (state, stopped) = (state.clone(), doors_stopped.clone());
            doors.spawn(async move {
                server::serve_syslog_udp(socket, state, syslog_tenant, stopped).await;
                "syslog_udp"
            });
        }
        for (name, listener, router) in [
            ("http", listeners.http, server::http_router(state.clone())),
            ("otlp_http", listeners.otlp_http, server::otlp_http_router(state.clone())),
            ("otlp_grpc", listeners.otlp_grpc, server::grpc_routes(state)),
        ] {
            let stopped = doors_stopped.clone();
            let limits = limits.clone();
            doors.spawn(async move {
                if let Err(error) = server::serve(listener, router, stopped, limits).await {
                    tracing::error!(%error, door = name, "door failed");
                }
                name
            });
        }
        // Whoever started it may have put stdout on a full disk, or read no further: that is no reason not to serve.
        if let Err(error) = writeln!(std::io::stdout(), "{ready_line}") {
            tracing::warn!(%error, "the line that says it is ready cannot be written to stdout");
        }
        tracing::info!(data = %config.data.display(), "{ready_line}");
        Ok(App {
            config,
            store,
            rule_files,
            has_notify_file,
            alerting,
            scraping,
            reloaded,
            dashboards,
            stop_doors,
            doors,
            stop_loops,
            loops,
        })
    }

    /// Serves until a signal, or until a task ends that should not.
    async fn run_until(mut self, mut signals: Signals, again: loops::Again) -> Result<(), AppError> {
        let ended = loop {
            tokio::select! {
                _ = signals.terminate.recv() => break None,
                _ = signals.interrupt.recv() => break None,
                _ = signals.hang_up.recv() => {
                    let rule_files = std::mem::take(&mut self.rule_files);
                    let mut wrong;
                    (self.rule_files, wrong) =
                        loops::reload(&self.config, rule_files, &mut self.has_notify_file, &self.alerting).await;
                    let (dashboards, files) = (self.dashboards.clone(), self.config.dashboards.clone());
                    blocking(move || dashboards.replace(files::dashboards_for_pages(&files))).await;
                    wrong.extend(loops::reload_scraping(again.clone(), &self.scraping).await);
                    self.reloaded.tell(wrong, clock::now_ms());
                }
                Some(task) = self.doors.join_next() => break Some(name_of(task)),
                Some(task) = self.loops.join_next() => break Some(name_of(task)),
            }
        };
        tracing::info!("stopping");
        self.store.end_upkeep();
        stop_all(&self.stop_doors, &mut self.doors).await;
        stop_all(&self.stop_loops, &mut self.loops).await;
        let store = self.store;
        blocking(move || store.close()).await.map_err(AppError::Close)?;
        // Nobody can be asked any more; a missing socket says so at once.
        if let Err(error) = std::fs::remove_file(control::socket_path(&self.config.data)) {
            tracing::warn!(%error, "removing the control socket");
        }
        match ended {
            None => {
                tracing::info!("stopped");
                Ok(())
            }
            Some(task) => Err(AppError::TaskEnded { task }),
        }
    }
}

fn local(listener: &TcpListener) -> Result<SocketAddr, AppError> {
    listener.local_addr().map_err(|source| AppError::Io { what: "listener", source })
}

fn name_of(task: Result<&'static str, tokio::task::JoinError>) -> &'static str {
    task.unwrap_or_else(|error| {
        tracing::error!(%error, "a task panicked");
        "a task that panicked"
    })
}

async fn stop_all(stop: &watch::Sender<bool>, tasks: &mut JoinSet<&'static str>) {
    stop.send_replace(true);
    while let Some(task) = tasks.join_next().await {
        tracing::debug!(task = name_of(task), "ended");
    }
}
