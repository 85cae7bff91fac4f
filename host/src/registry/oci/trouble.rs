//! Why an artifact is not pulled.

use std::time::Duration;

use crate::registry::signature::Unsigned;

/// Why an artifact is not pulled.
#[derive(Debug, thiserror::Error)]
#[error("`{reference}` cannot be pulled: {trouble}")]
pub struct NotPulled {
    /// Which artifact, as it was written.
    pub reference: String,
    /// Why.
    pub trouble: Trouble,
}

impl NotPulled {
    /// Whether it may pass by itself.
    pub fn may_pass(&self) -> bool {
        self.trouble.may_pass()
    }
}

/// The reason.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// No answer, or one that broke off.
    #[error("its registry does not answer: {0}; see whether it can be reached, and try again")]
    Away(String),
    /// It answers that it cannot.
    #[error("its registry is in trouble, and answers {0}; try again later")]
    Busy(u16),
    /// It took too long.
    #[error("it did not come within {} s; try again, or put it where it is nearer", .0.as_secs())]
    Late(Duration),
    /// It answers that it may not.
    #[error("its registry refuses {who} ({status}); {hint}")]
    Denied {
        /// Who asked.
        who: String,
        /// Its answer.
        status: u16,
        /// What to do.
        hint: &'static str,
    },
    /// It has no such thing.
    #[error("its registry has no such {0}; correct the name, the tag or the digest, or push it")]
    NotThere(&'static str),
    /// An answer that means nothing.
    #[error("its registry answers {0}, which means nothing here; is it a registry?")]
    Strange(u16),
    /// It sends the host somewhere that it does not go.
    #[error("its registry {0}")]
    Misleads(String),
    /// More than there may be.
    #[error("its {what} is larger than {}", size(*.most))]
    TooLarge {
        /// What of it.
        what: &'static str,
        /// Bytes.
        most: u64,
    },
    /// Other bytes than the digest's.
    #[error(
        "its {what} has not the digest {digest}: it was changed, or cut off, on its way; try again, and mistrust the registry"
    )]
    Digest {
        /// What of it.
        what: &'static str,
        /// The one that it should have.
        digest: String,
    },
    /// Not a component.
    #[error("{0}")]
    Artifact(String),
    /// Nobody vouches for it.
    #[error("the signature `{name}` is refused: {why}")]
    Unsigned {
        /// Where it is looked for.
        name: String,
        /// Why.
        why: Unsigned,
    },
    /// Docker's configuration is unusable.
    #[error("{0}; correct it, or set DOCKER_CONFIG to the folder of another one")]
    Docker(String),
    /// TLS or the client cannot be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
}

impl Trouble {
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Away(_) | Self::Busy(_) | Self::Late(_))
    }
}

fn size(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{bytes} bytes") }
}
