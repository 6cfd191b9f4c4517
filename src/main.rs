//! The program: reads the command line and does what it says.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // Before anything may make a TLS connection: rustls has no provider of its own choosing.
    rustls::crypto::ring::default_provider().install_default().expect("nobody installed a TLS provider before main");
    match binnacle::cli::run(binnacle::cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("binnacle: {error}");
            ExitCode::FAILURE
        }
    }
}
