//! A host for one client, which has started it: no port, one caller.

use http::{HeaderMap, HeaderValue, Method, header};

use super::{App, StartError};
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
        let failed = |why: String| StartError::Stdio(why);
        let offers = self.front.registry.current().is_some_and(|generation| !generation.catalogue.is_empty());
        if !offers {
            return Err(failed("no module offers tools, resources or prompts".to_owned()));
        }
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            let value = value.map_err(|_| failed("INNKEEPER_TOKEN is not a token".to_owned()))?;
            headers.insert(header::AUTHORIZATION, value);
        }
        let caller = self.front.identity.authenticate(&Method::POST, &headers).await;
        let caller = caller.map_err(|refusal| failed(format!("INNKEEPER_TOKEN: {}", crate::fault::chain(&refusal))))?;
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
        self.stop.cancel();
        if let Some(otlp) = self.otlp {
            otlp.stop().await;
        }
        self.tasks.close();
        self.tasks.wait().await;
        served
    }
}
