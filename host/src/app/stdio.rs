//! A host for one client, which has started it: no port, one caller.

use http::{HeaderMap, HeaderValue, Method, header};

use super::{App, StartError};
use crate::call::Caller;
use crate::mcp::{self, Parts};

impl App {
    /// Loads the modules and speaks the Model Context Protocol on standard input and
    /// output, as the caller of this token, until the client leaves or `shutdown`
    /// resolves.
    ///
    /// # Errors
    /// A module cannot be served, or the token is not valid.
    pub async fn stdio(self, token: Option<String>, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
        self.load().await?;
        let failed = StartError::Stdio;
        let offers = self.front.registry.current().is_some_and(|generation| !generation.catalogue.is_empty());
        if !offers {
            return Err(failed("no module offers tools, resources or prompts".to_owned()));
        }
        let caller = self.caller(token).await.map_err(failed)?;
        let parts = Parts {
            registry: std::sync::Arc::clone(&self.front.registry),
            changes: self.front.changes.clone(),
            places: self.front.admission.places(),
            toolboxes: self.front.toolboxes.clone(),
            tasks: self.tasks.clone(),
            closing: self.stop.clone(),
        };
        let served = tokio::select! {
            served = mcp::stdio(caller, parts) => served.map_err(failed),
            () = shutdown => Ok(()),
        };
        self.end().await;
        served
    }

    /// Who the token says is calling; nobody without one.
    pub(super) async fn caller(&self, token: Option<String>) -> Result<Option<Caller>, String> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            headers.insert(header::AUTHORIZATION, value.map_err(|_| "INNKEEPER_TOKEN is not a token".to_owned())?);
        }
        let caller = self.front.identity.authenticate(&Method::POST, &headers).await;
        caller.map_err(|refusal| format!("INNKEEPER_TOKEN: {}", crate::fault::chain(&refusal)))
    }

    /// Ends what a host does beside serving.
    pub(super) async fn end(self) {
        self.stop.cancel();
        if let Some(otlp) = self.otlp {
            otlp.stop().await;
        }
        self.tasks.close();
        self.tasks.wait().await;
    }
}
