//! The client's address.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use verify_http::{Problem, ProblemCode, TrustedProxies};

/// The address of the person's device: the peer's, or what a trusted proxy says of it.
///
/// Which proxies are trusted is an extension of the router, [`TrustedProxies`]; without one none is. An application whose
/// every request comes through a load balancer must name it there, else all its users share one address and one budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientIp(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for ClientIp {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Ok(ConnectInfo(peer)) = ConnectInfo::<SocketAddr>::from_request_parts(parts, state).await else {
            return Err(Problem::new(
                ProblemCode::Internal,
                "the server hands on no peer address; serve with into_make_service_with_connect_info::<SocketAddr>()",
            ));
        };
        let none = TrustedProxies::default();
        let proxies = parts.extensions.get::<TrustedProxies>().unwrap_or(&none);
        Ok(Self(proxies.client(peer.ip(), &parts.headers)))
    }
}
