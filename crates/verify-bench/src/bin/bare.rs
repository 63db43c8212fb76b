//! `bare ADDRESS STATUS LENGTH`: the least that a server of the gateway's stack does: it reads the body of a request
//! and answers so many bytes that never change.

use std::net::SocketAddr;
use std::process::ExitCode;

use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::routing::post;
use tokio::net::TcpListener;
use verify_bench::gateway::SEND;

fn main() -> ExitCode {
    match serve(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn std::error::Error>> {
    let mut next = || arguments.next().ok_or("usage: bare ADDRESS STATUS LENGTH");
    let address = next()?;
    let status = StatusCode::from_bytes(next()?.as_bytes())?;
    let answer = Bytes::from(vec![b'x'; next()?.parse()?]);
    let router = Router::new().route(
        SEND,
        post(move |body: Bytes| {
            let answer = answer.clone();
            async move {
                drop(body);
                (status, [(header::CONTENT_TYPE, "application/json")], answer)
            }
        }),
    );
    // As the gateway's own runtime and listener are made.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service).await?;
        Ok(())
    })
}
