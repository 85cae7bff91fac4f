//! What the protocol's library asks of sessions: it keeps those of this host's
//! memory itself, and reads of the others what their ids say.

use std::sync::Arc;

use futures_util::Stream;
use rmcp::model::{
    ClientJsonRpcMessage, Implementation, InitializeRequestParams, ProtocolVersion, ServerJsonRpcMessage,
};
use rmcp::transport::streamable_http_server::session::local::{LocalSessionManager, LocalSessionManagerError};
use rmcp::transport::streamable_http_server::session::{
    RestoreOutcome, ServerSseMessage, SessionId, SessionManager, SessionState, SessionStore, SessionStoreError,
};

use super::{BEGUN, FEATURES, MOST, Sessions, lock};
use crate::bindings::offers::innkeeper::backend::types::ClientFeatures;
use crate::mcp::handler::capabilities;

/// Why the library's own part fails.
#[derive(Debug, thiserror::Error)]
pub(in crate::mcp) enum SessionError {
    #[error("there is no id for a new session")]
    NoId,
    #[error(transparent)]
    Local(#[from] LocalSessionManagerError),
}

impl SessionManager for Sessions {
    type Error = SessionError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), SessionError> {
        let id: SessionId = BEGUN.try_with(|id| id.as_str().into()).map_err(|_| SessionError::NoId)?;
        match self.restore_session(Arc::clone(&id)).await? {
            RestoreOutcome::Restored(transport) => Ok((id, transport)),
            _ => Err(SessionError::NoId),
        }
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, SessionError> {
        Ok(self.local.initialize_session(id, message).await?)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, SessionError> {
        Ok(self.local.has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), SessionError> {
        lock(&self.owners).remove(id);
        Ok(self.local.close_session(id).await?)
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        Ok(self.local.create_stream(id, message).await?)
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), SessionError> {
        Ok(self.local.accept_message(id, message).await?)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        Ok(self.local.create_standalone_stream(id).await?)
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        Ok(self.local.resume(id, last_event_id).await?)
    }

    async fn restore_session(&self, id: SessionId) -> Result<RestoreOutcome<Self::Transport>, SessionError> {
        self.own(&id);
        Ok(self.local.restore_session(id).await?)
    }
}

/// The ids themselves: there is nothing to store.
pub(in crate::mcp) struct Sealed(pub(in crate::mcp) Arc<Sessions>);

#[async_trait::async_trait]
impl SessionStore for Sealed {
    async fn load(&self, id: &str) -> Result<Option<SessionState>, SessionStoreError> {
        let Some(settled) = self.0.settled(id) else { return Ok(None) };
        if lock(&self.0.owners).len() >= MOST {
            return Ok(None);
        }
        let chosen = FEATURES.into_iter().zip(settled.features).filter(|(_, has)| *has);
        let declared = chosen.fold(ClientFeatures::empty(), |sum, (feature, _)| sum | feature);
        let version: ProtocolVersion = serde_json::from_value(settled.version.into())?;
        let client = Implementation::new(settled.name, settled.client);
        let params = InitializeRequestParams::new(capabilities(declared), client).with_protocol_version(version);
        Ok(Some(SessionState::new(params)))
    }

    async fn store(&self, _: &str, _: &SessionState) -> Result<(), SessionStoreError> {
        Ok(())
    }

    async fn delete(&self, id: &str) -> Result<(), SessionStoreError> {
        self.0.end(id);
        Ok(())
    }
}
