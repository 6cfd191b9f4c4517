//! The configuration in each room's own terms.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::{Config, Delta, Promote, Translation};

pub(super) fn store(config: &Config) -> store::Options {
    store::Options {
        metrics_retention_ms: config.retention.metrics.ms,
        downsample_after_ms: Some(config.metrics.downsample_after.ms).filter(|age| *age > 0),
        raw_retention_ms: Some(config.retention.metrics_raw.ms).filter(|age| *age > 0).unwrap_or(i64::MAX),
        logs_retention_ms: config.retention.logs.ms,
        // They were found good when the configuration was.
        logs_streams: crate::config::stream_rules(&config.retention).unwrap_or_default(),
        bytes_max: config.retention.max_bytes.0,
        tenants_max: config.limits.tenants,
        series_max: config.limits.series,
        samples_per_second_max: config.limits.samples_per_second,
        log_bytes_per_second_max: config.limits.log_bytes_per_second.0,
        log_streams_per_day_max: config.limits.log_streams_per_day,
        delta_series_max: config.limits.delta_series,
        exemplars_per_day_max: config.limits.exemplars_per_day,
        series_per_day_max: config.limits.series_per_day,
        disk_free_min: config.limits.disk_free_min.0,
        intake_queue_requests: config.limits.intake_queue_requests,
        intake_queue_bytes: config.limits.intake_queue_bytes.usize(),
        ..store::Options::new(&config.data)
    }
}

/// For the rules of every tenant: clones share the memory.
pub(super) fn rules(config: &Config, started_ms: i64) -> rules::EngineOptions {
    let memory_max = config.rules.memory_max.0;
    rules::EngineOptions {
        external_url: external_url(config),
        lookback_ms: config.query.lookback.ms,
        query_limits: query::SharedLimits {
            // The pool is the limit of one as well: a page counts for more than a dashboard.
            each: query::Limits { bytes_max: u64::MAX, ..query_limits(config) },
            pool: query::memory::Pool::new(memory_max, "rules.memory_max"),
        },
        started_ms,
    }
}

fn query_limits(config: &Config) -> query::Limits {
    query::Limits {
        timeout: config.query.timeout.std(),
        series_max: config.query.series_max,
        samples_max: config.query.samples_max,
        bytes_max: config.query.memory_max.0,
        threads: config.query.threads,
    }
}

/// `rules` and `tenant` are those whose alerts are told.
pub(super) fn notifier(
    config: &Config,
    rules: &rules::Engine,
    tenant: &store::Tenant,
    limits: &notify::ServiceLimits,
) -> notify::NotifierOptions {
    let mut options = notify::NotifierOptions::new(external_url(config));
    let charts = server::AlertCharts {
        rules: rules.clone(),
        tenant: tenant.clone(),
        query_limits: query_limits(config),
        lookback_ms: config.query.lookback.ms,
    };
    options.limits = limits.clone();
    options.charts = Some(notify::ChartSource::new(move |alerts, at_ms| charts.draw(alerts, at_ms)));
    let evaluated = rules.clone();
    options.present = Some(notify::PresentSource::new(move |alerts| evaluated.present(alerts)));
    options.timing.silence_max_ms = i64::try_from(config.notify.silence_max.std().as_millis()).unwrap_or(i64::MAX);
    options
}

/// Whoever comes through a proxy on this machine looks as if they were here. That there is one is known by what links begin with alone.
pub(super) fn warn_of_proxies(config: &Config) {
    if !config.needs_token() && !config.links_stay_here() {
        tracing::warn!(
            external_url = config.notify.external_url,
            "no token is asked for (auth.mode), since every listener is on loopback: if a proxy brings others here, set it to \"token\""
        );
    }
}

/// Where the pages are from this machine.
pub(super) fn own_url(mut http: SocketAddr) -> String {
    if http.ip().is_unspecified() {
        http.set_ip(if http.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    format!("http://{http}")
}

/// Without a slash at the end, so that paths can be put behind it.
pub(super) fn external_url(config: &Config) -> String {
    config.notify.external_url.trim_end_matches('/').into()
}

pub(super) fn server(
    config: &Config,
    otlp_http: SocketAddr,
    otlp_grpc: SocketAddr,
    started_ms: i64,
) -> server::ServerSettings {
    server::ServerSettings {
        auth: if config.needs_token() { server::AuthMode::Token } else { server::AuthMode::Off },
        check_host: !config.needs_token() && config.is_loopback(),
        request_bytes_max: config.limits.request_bytes.usize(),
        in_flight_bytes_max: config.limits.in_flight_bytes.usize(),
        future_max: config.limits.future.std(),
        query_limits: query_limits(config),
        query_concurrency: config.query.concurrency,
        query_memory_all_max: config.query.memory_all_max.0,
        lookback: config.query.lookback.std(),
        // The configuration was checked, so it is a zone's name.
        syslog_zone: config.syslog.zone().unwrap_or(jiff::tz::TimeZone::UTC),
        metrics: codec::otlp::MetricsSettings {
            promote: match &config.metrics.promote_resource_attributes {
                Promote::All => codec::otlp::Promote::All,
                Promote::None => codec::otlp::Promote::None,
                Promote::List(names) => codec::otlp::Promote::List(names.clone()),
            },
            ignore: config.metrics.ignore_resource_attributes.clone(),
            translation: match config.metrics.translation {
                Translation::UnderscoreEscapingWithSuffixes => codec::otlp::Translation::UnderscoreEscapingWithSuffixes,
                Translation::UnderscoreEscapingWithoutSuffixes => {
                    codec::otlp::Translation::UnderscoreEscapingWithoutSuffixes
                }
                Translation::NoUTF8EscapingWithSuffixes => codec::otlp::Translation::NoUtf8EscapingWithSuffixes,
                Translation::NoTranslation => codec::otlp::Translation::NoTranslation,
            },
            delta: match config.metrics.delta {
                Delta::Cumulative => codec::otlp::Delta::Cumulative,
                Delta::AsIs => codec::otlp::Delta::AsIs,
                Delta::Refuse => codec::otlp::Delta::Refuse,
            },
            promote_scope: config.metrics.promote_scope_metadata,
            keep_identifying: config.metrics.keep_identifying_resource_attributes,
            labels_max: config.limits.labels,
            label_name_bytes_max: config.limits.label_name_bytes,
            label_value_bytes_max: config.limits.label_value_bytes,
        },
        logs: codec::otlp::LogsSettings {
            records_max: config.limits.request_records,
            body_bytes_max: config.limits.log_body_bytes.usize(),
            attributes_max: config.limits.log_attributes,
            attribute_bytes_max: config.limits.log_attribute_bytes.usize(),
            record_bytes_max: config.limits.log_record_bytes.usize(),
        },
        status: server::StatusSettings {
            public: config.status.public,
            // They were found good when the configuration was.
            components: crate::config::status_components(&config.status).unwrap_or_default(),
        },
        version: env!("CARGO_PKG_VERSION"),
        otlp_http_addr: otlp_http.to_string(),
        otlp_grpc_addr: otlp_grpc.to_string(),
        external_url: external_url(config),
        started_ms,
    }
}
