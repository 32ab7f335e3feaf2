//! The application alone, for container images: no proxy and no demo code comes with it.

use std::process::ExitCode;

use clap::Parser;
use nuncio_demo::app::{self, AppArgs};

/// The web program of the front-proxy example: answers GET /service/<number> with who it is
#[derive(Parser)]
#[command(name = "service", version)]
struct Cli {
    #[command(flatten)]
    app: AppArgs,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match app::run(&Cli::parse().app).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("service: {failure}");
            ExitCode::FAILURE
        }
    }
}
