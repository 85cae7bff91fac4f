//! A call that may have to ask: the guest is called, asks and ends; it is called
//! again with the answers. Between the rounds nothing is held: a client of the
//! newer protocol carries the guest's state, sealed, and for one of the older the
//! host asks on the request's own stream.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{ErrorCode, ErrorData, InputRequiredResult, InputResponses};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;

use super::context::{self, Ears};
use super::{Context, Handler, ask, is_modern};
use crate::bindings::offers::innkeeper::backend::types::{ClientFeatures, InputRequired, Resumption};
use crate::call::{Call, Deadline};
use crate::instance::Guest;
use crate::mcp::asker::{Asker, owner};
use crate::mcp::seal::{Purpose, now};
use crate::offers::{Ask, Asked, Outcome, Problem, Weight, answers, asked};

/// Rounds of one call. More is a guest that does not come to an end.
const ROUNDS: u8 = 8;
/// Seconds that a client has to come back with the answers.
const PATIENCE: u64 = 600;
/// For callers who lack a scope, where there is no HTTP to say so. Outside of what
/// JSON-RPC keeps for itself.
const INSUFFICIENT_SCOPE: ErrorCode = ErrorCode(-31_403);

/// What is called: a sealed state is good for the same thing again and no other.
pub(super) struct What<'w> {
    method: &'static str,
    guest: &'w Arc<Guest>,
    name: &'w str,
    arguments: [u8; 32],
}

impl<'w> What<'w> {
    pub(super) fn new(
        method: &'static str,
        guest: &'w Arc<Guest>,
        name: &'w str,
        arguments: &Map<String, Value>,
    ) -> Self {
        // Keys are sorted in these maps: the order in which they came is no matter.
        let arguments = serde_json::to_vec(arguments).unwrap_or_default();
        Self { method, guest, name, arguments: Sha256::digest(arguments).into() }
    }

    fn bound(&self, asker: &Asker) -> Vec<u8> {
        let Self { method, guest, name, arguments } = self;
        let digest = STANDARD.encode(arguments);
        serde_json::json!([owner(asker.caller.as_ref()), method, *guest.profile.name, name, digest]).to_string().into()
    }
}

/// What a call came to.
pub(super) enum Answer<T> {
    Complete(T),
    InputRequired(InputRequiredResult),
}

/// Why it came to nothing.
pub(super) enum Stop {
    Problem(Problem),
    Protocol(ErrorData),
    Cancelled,
}

/// What travels to the client and back.
#[derive(Serialize, Deserialize)]
struct State {
    round: u8,
    asked: Asked,
    guest: Option<String>,
}

type Sent = (Option<String>, Option<InputResponses>);

impl Handler {
    /// Calls as often as it takes.
    pub(super) async fn rounds<T, F>(
        &self,
        context: &Context,
        asker: &Asker,
        what: &What<'_>,
        sent: Sent,
        call: impl Fn(Option<Resumption>, Ask<OwnedSemaphorePermit>) -> F,
    ) -> Result<Answer<T>, Stop>
    where
        T: Weight,
        F: Future<Output = Result<Outcome<T>, Problem>>,
    {
        let modern = is_modern(context);
        let (mut round, mut resume) = if modern { self.resumed(asker, what, sent)? } else { (0, None) };
        loop {
            let required = match self.once(context, asker, what, resume, &call).await? {
                Outcome::Complete(answer) if asker.room.take(answer.weight()) => return Ok(Answer::Complete(answer)),
                Outcome::Complete(_) => return Err(Stop::Problem(Problem::Failed(crate::dispatch::Failed::Busy))),
                Outcome::InputRequired(required) => required,
            };
            round += 1;
            if round > ROUNDS {
                return Err(Stop::Problem(Problem::Answer(format!("asks more than {ROUNDS} times"))));
            }
            let InputRequired { requests, state } = required;
            let questions = ask::requests(&requests).map_err(|why| Stop::Problem(Problem::Answer(why)))?;
            let asked = asked(&requests);
            if modern {
                let state = State { round, asked, guest: state.map(|state| STANDARD.encode(state)) };
                let sealed = self.sealed(asker, what, &state)?;
                let questions = Some(questions).filter(|questions| !questions.is_empty());
                return Ok(Answer::InputRequired(InputRequiredResult::new(questions, Some(sealed))));
            }
            let sent = ask::all(&self.shared, context, questions).await.map_err(Stop::Protocol)?;
            resume = Some(Resumption { responses: answers(&asked, sent).map_err(wrong)?, state });
        }
    }

    /// One call, with its notices passed on. It ends when the client goes away.
    async fn once<T, F>(
        &self,
        context: &Context,
        asker: &Asker,
        what: &What<'_>,
        resume: Option<Resumption>,
        call: &impl Fn(Option<Resumption>, Ask<OwnedSemaphorePermit>) -> F,
    ) -> Result<Outcome<T>, Stop>
    where
        F: Future<Output = Result<Outcome<T>, Problem>>,
    {
        let mut ears = Ears::of(self, context);
        let (ask, heard) = self.ask(context, asker, what.guest, ears.are_open()).map_err(Stop::Problem)?;
        let called = call(resume, ask);
        let outcome = async {
            let Some(mut heard) = heard else { return called.await };
            // The queue closes when the guest has ended.
            let hear = async {
                while let Some(notice) = heard.recv().await {
                    ears.hear(context, notice).await;
                }
            };
            futures_util::future::join(called, hear).await.0
        };
        tokio::select! {
            outcome = outcome => outcome.map_err(Stop::Problem),
            () = context.ct.cancelled() => Err(Stop::Cancelled),
        }
    }

    /// A call of a module: a place in the host, the caller, and the time it has.
    pub(super) fn ask(
        &self,
        context: &Context,
        asker: &Asker,
        guest: &Arc<Guest>,
        heard: bool,
    ) -> Result<(Ask<OwnedSemaphorePermit>, Option<tokio::sync::mpsc::Receiver<crate::call::notice::Notice>>), Problem>
    {
        let place = Arc::clone(&self.shared.places).try_acquire_owned();
        let held = place.map_err(|_| Problem::Failed(crate::dispatch::Failed::Busy))?;
        let (notices, heard) = if heard {
            let (notices, heard) = self.shared.changes.heard();
            (notices, Some(heard))
        } else {
            (self.shared.changes.notices(), None)
        };
        let call = Call {
            id: Arc::clone(&asker.id),
            caller: asker.caller.clone(),
            client: asker.client,
            deadline: Deadline::after(guest.profile.limits.wall),
            trace: asker.trace.clone(),
            notices,
            toolbox: self.shared.toolboxes.of(&asker.generation, guest),
        };
        Ok((Ask { call, context: context::of(context, asker), held }, heard))
    }

    /// What a client of the newer protocol came back with.
    fn resumed(&self, asker: &Asker, what: &What<'_>, sent: Sent) -> Result<(u8, Option<Resumption>), Stop> {
        // Answers without a state answer nothing that was asked: it is asked again.
        let (Some(token), responses) = sent else { return Ok((0, None)) };
        let invalid =
            || Stop::Protocol(ErrorData::invalid_params("`requestState` is not valid here, or not any more", None));
        let opened = self.shared.seal.open(Purpose::State, &what.bound(asker), &token).ok_or_else(invalid)?;
        let State { round, asked, guest } = serde_json::from_slice(&opened).map_err(|_| invalid())?;
        let responses = answers(&asked, responses.unwrap_or_default()).map_err(wrong)?;
        let state = guest.map(|text| STANDARD.decode(text)).transpose().map_err(|_| invalid())?;
        Ok((round, Some(Resumption { responses, state })))
    }

    fn sealed(&self, asker: &Asker, what: &What<'_>, state: &State) -> Result<String, Stop> {
        let text = serde_json::to_vec(state).unwrap_or_default();
        let sealed = self.shared.seal.close(Purpose::State, &what.bound(asker), now() + PATIENCE, &text);
        sealed.map_err(|error| Stop::Problem(Problem::Answer(error.to_string())))
    }
}

fn wrong(why: String) -> Stop {
    Stop::Protocol(ErrorData::invalid_params(why, None))
}

impl Stop {
    /// What the client reads of it; the log reads the rest.
    pub(super) fn into_error(self, context: &Context, asker: &Asker, what: &What<'_>) -> ErrorData {
        let problem = match self {
            Self::Protocol(error) => return error,
            // Nobody reads it.
            Self::Cancelled => return ErrorData::internal_error("The request was cancelled", None),
            Self::Problem(problem) => problem,
        };
        error(&problem, context, asker, (what.method, &what.guest.profile.name))
    }
}

/// What the client reads of a problem; the log reads the rest.
pub(super) fn error(problem: &Problem, context: &Context, asker: &Asker, (method, module): (&str, &str)) -> ErrorData {
    if problem.is_news() {
        tracing::warn!(request.id = %asker.id, trace_id = asker.trace.id(), module.name = module, mcp.method = method,
            "`{method}` of module `{module}` failed: {}", crate::fault::chain(problem));
    }
    match problem {
        Problem::NotFound(what) => ErrorData::invalid_params(format!("There is no such {what}"), None),
        Problem::Arguments(why) => ErrorData::invalid_params(format!("Invalid arguments: {why}"), None),
        Problem::Scopes(scopes) => {
            let data = serde_json::json!({ "requiredScopes": scopes });
            ErrorData::new(INSUFFICIENT_SCOPE, "The caller lacks a scope that this needs", Some(data))
        }
        Problem::MissingCapability { features, .. } => lacking(context, *features),
        Problem::Failed(crate::dispatch::Failed::Busy | crate::dispatch::Failed::NoInstance(_)) => {
            ErrorData::internal_error("The server has too much to do; try again", None)
        }
        Problem::Reported(_) | Problem::Answer(_) | Problem::Failed(_) => {
            ErrorData::internal_error(format!("The request failed; its id is {}", asker.id), None)
        }
    }
}

fn lacking(context: &Context, features: ClientFeatures) -> ErrorData {
    let required = context::capabilities(features);
    if is_modern(context) {
        return ErrorData::missing_required_client_capability(required);
    }
    let data = serde_json::json!({ "requiredCapabilities": required });
    ErrorData::invalid_params("The client lacks a capability that this needs", Some(data))
}
