//! The ports.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::StartError;
use crate::config::Config;

/// The ports, taken before anything slow happens.
pub struct Listeners {
    /// Where clients come.
    pub public: TcpListener,
    /// Where operators come.
    pub admin: Option<TcpListener>,
}

impl Listeners {
    /// Takes the configured ports.
    ///
    /// # Errors
    /// [`StartError::Bind`].
    pub async fn bind(config: &Config) -> Result<Self, StartError> {
        let public = bind(config.listen, "INNKEEPER_LISTEN").await?;
        let admin = match config.admin_listen {
            Some(address) => Some(bind(address, "INNKEEPER_ADMIN_LISTEN (`off` for none)").await?),
            None => None,
        };
        Ok(Self { public, admin })
    }
}

async fn bind(address: SocketAddr, setting: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Bind { address, source, setting })
}
