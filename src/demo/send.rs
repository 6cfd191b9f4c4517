//! The demo's connection: generated OTLP/gRPC clients, gzip, and a retry where the server says that one helps.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::args::DemoArgs;
use crate::cli::Failure;

/// Tries of one request while the server is away or busy: half a minute, which a restart takes at most.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Sender {
    metrics: MetricsServiceClient<Channel>,
    logs: LogsServiceClient<Channel>,
    authorization: Option<MetadataValue<Ascii>>,
}

impl Sender {
    pub(super) async fn connect(args: &DemoArgs) -> Result<Sender, Failure> {
        let endpoint = Endpoint::from_shared(args.endpoint.clone())?.connect_timeout(Duration::from_secs(5));
        let channel = endpoint
            .connect()
            .await
            .map_err(|error| format!("no server at {}: {error}; start one with: binnacle serve", args.endpoint))?;
        let authorization = match &args.token {
            Some(token) => {
                Some(format!("Bearer {token}").parse().map_err(|_| "the token holds characters that no header can")?)
            }
            None => None,
        };
        Ok(Sender {
            metrics: MetricsServiceClient::new(channel.clone()).send_compressed(CompressionEncoding::Gzip),
            logs: LogsServiceClient::new(channel).send_compressed(CompressionEncoding::Gzip),
            authorization,
        })
    }

    pub(super) async fn metrics(&mut self, message: ExportMetricsServiceRequest) -> Result<(), Failure> {
        for attempt in 1.. {
            match self.metrics.export(self.request(message.clone())).await {
                Ok(reply) => {
                    if let Some(refused) = reply.into_inner().partial_success {
                        eprintln!("{} points refused: {}", refused.rejected_data_points, refused.error_message);
                    }
                    break;
                }
                Err(status) => pause_or_fail(&status, attempt).await?,
            }
        }
        Ok(())
    }

    pub(super) async fn logs(&mut self, message: ExportLogsServiceRequest) -> Result<(), Failure> {
        for attempt in 1.. {
            match self.logs.export(self.request(message.clone())).await {
                Ok(reply) => {
                    if let Some(refused) = reply.into_inner().partial_success {
                        eprintln!("{} records refused: {}", refused.rejected_log_records, refused.error_message);
                    }
                    break;
                }
                Err(status) => pause_or_fail(&status, attempt).await?,
            }
        }
        Ok(())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }
}

async fn pause_or_fail(status: &Status, attempt: u32) -> Result<(), Failure> {
    // What a server that stops in the middle of a call leaves is anything from "cancelled" to "unknown".
    let is_refused = matches!(
        status.code(),
        Code::Unauthenticated
            | Code::PermissionDenied
            | Code::InvalidArgument
            | Code::Unimplemented
            | Code::FailedPrecondition
            | Code::OutOfRange
    );
    if is_refused || attempt >= TRIES {
        return Err(format!("the server refused: {:?}: {}", status.code(), status.message()).into());
    }
    eprintln!("trying again: {}", status.message());
    tokio::time::sleep(PAUSE).await;
    Ok(())
}
