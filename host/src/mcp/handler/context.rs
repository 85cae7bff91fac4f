//! What a guest is told of the client, and where its notices go.

use rmcp::model::{
    ClientCapabilities, ElicitationCapability, FormElicitationCapability, LoggingLevel,
    LoggingMessageNotificationParam, ProgressNotificationParam, RootsCapabilities, SamplingCapability,
    UrlElicitationCapability,
};

use super::{Context, Handler, is_modern};
use crate::bindings::offers::innkeeper::backend::types::{CallContext, ClientFeatures};
use crate::call::notice::Notice;
use crate::mcp::asker::Asker;

/// Bytes of what a client adds to a request, for the guest to read.
const META_BYTES: usize = 16 << 10;
const NAME_BYTES: usize = 128;
/// What is the protocol's own in what a client adds.
const OWN: [&str; 3] = ["io.modelcontextprotocol/", "progressToken", "traceparent"];

const LEVELS: [LoggingLevel; 8] = [
    LoggingLevel::Debug,
    LoggingLevel::Info,
    LoggingLevel::Notice,
    LoggingLevel::Warning,
    LoggingLevel::Error,
    LoggingLevel::Critical,
    LoggingLevel::Alert,
    LoggingLevel::Emergency,
];

/// The place of a level among the others.
pub(super) fn gravity(level: LoggingLevel) -> u8 {
    level as u8
}

/// What the guest is told.
pub(super) fn of(context: &Context, asker: &Asker) -> CallContext {
    let client = context.client_info().map(|client| client.name);
    let meta: serde_json::Map<_, _> = (context.meta.iter())
        .filter(|(key, _)| !OWN.iter().any(|own| key.starts_with(own)))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let meta = (!meta.is_empty()).then(|| serde_json::Value::Object(meta).to_string());
    CallContext {
        request_id: asker.id.to_string(),
        protocol_version: context.protocol_version().map(|version| version.as_str().to_owned()).unwrap_or_default(),
        client_name: client.map(|name| name[..name.floor_char_boundary(NAME_BYTES)].to_owned()),
        features: features(&context.client_capabilities().unwrap_or_default()),
        wants_progress: context.meta.get_progress_token().is_some(),
        meta: meta.filter(|meta| meta.len() <= META_BYTES),
    }
}

/// What a client declared that it can be asked.
pub(in crate::mcp) fn features(capabilities: &ClientCapabilities) -> ClientFeatures {
    let mut features = ClientFeatures::empty();
    if let Some(elicitation) = &capabilities.elicitation {
        // Older clients say `{}` and mean forms.
        if elicitation.form.is_some() || elicitation.url.is_none() {
            features |= ClientFeatures::ELICIT_FORM;
        }
        if elicitation.url.is_some() {
            features |= ClientFeatures::ELICIT_URL;
        }
    }
    if let Some(sampling) = &capabilities.sampling {
        features |= ClientFeatures::SAMPLING;
        if sampling.tools.is_some() {
            features |= ClientFeatures::SAMPLING_TOOLS;
        }
    }
    if capabilities.roots.is_some() {
        features |= ClientFeatures::ROOTS;
    }
    features
}

/// The same, as a client declares it.
pub(in crate::mcp) fn capabilities(features: ClientFeatures) -> ClientCapabilities {
    let mut capabilities = ClientCapabilities::default();
    if features.contains(ClientFeatures::ELICIT_FORM) || features.contains(ClientFeatures::ELICIT_URL) {
        let mut elicitation = ElicitationCapability::new();
        if features.contains(ClientFeatures::ELICIT_FORM) {
            elicitation = elicitation.with_form(FormElicitationCapability::new());
        }
        if features.contains(ClientFeatures::ELICIT_URL) {
            elicitation = elicitation.with_url(UrlElicitationCapability::new());
        }
        capabilities.elicitation = Some(elicitation);
    }
    if features.contains(ClientFeatures::SAMPLING) || features.contains(ClientFeatures::SAMPLING_TOOLS) {
        let mut sampling = SamplingCapability::default();
        sampling.tools = features.contains(ClientFeatures::SAMPLING_TOOLS).then(Default::default);
        capabilities.sampling = Some(sampling);
    }
    capabilities.roots = features.contains(ClientFeatures::ROOTS).then(RootsCapabilities::default);
    capabilities
}

/// What the client of one request wants to hear.
pub(super) struct Ears {
    progress: Option<rmcp::model::ProgressToken>,
    level: Option<u8>,
    /// What was said last: only more is news.
    reached: f64,
}

impl Ears {
    pub(super) fn of(handler: &Handler, context: &Context) -> Self {
        let level =
            if is_modern(context) { context.meta.log_level().map(gravity) } else { Some(handler.session().level()) };
        Self { progress: context.meta.get_progress_token(), level, reached: f64::NEG_INFINITY }
    }

    /// Whether it wants to hear anything.
    pub(super) fn are_open(&self) -> bool {
        self.progress.is_some() || self.level.is_some()
    }

    /// Passes a notice on, if it is wanted.
    pub(super) async fn hear(&mut self, context: &Context, notice: Notice) {
        match notice {
            Notice::Progress { progress, total, message } => {
                let Some(token) = self.progress.clone().filter(|_| progress > self.reached) else { return };
                self.reached = progress;
                let mut param = ProgressNotificationParam::new(token, progress);
                (param.total, param.message) = (total, message);
                // A client that has left is told nothing; the call ends by itself.
                let _ = context.peer.notify_progress(param).await;
            }
            Notice::Log { level, logger, data } => {
                let wanted = self.level.is_some_and(|wanted| level >= wanted);
                let Some(named) = LEVELS.get(usize::from(level)).copied().filter(|_| wanted) else { return };
                let mut param = LoggingMessageNotificationParam::new(named, data);
                param.logger = logger;
                let _ = context.peer.notify_logging_message(param).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_can_be_asked_survives_a_session_token() {
        for bits in 0..32 {
            let all = [
                ClientFeatures::ELICIT_FORM,
                ClientFeatures::ELICIT_URL,
                ClientFeatures::SAMPLING,
                ClientFeatures::ROOTS,
                ClientFeatures::SAMPLING | ClientFeatures::SAMPLING_TOOLS,
            ];
            let chosen = all.into_iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0);
            let chosen = chosen.fold(ClientFeatures::empty(), |sum, (_, feature)| sum | feature);
            assert_eq!(features(&capabilities(chosen)), chosen);
        }
    }
}
