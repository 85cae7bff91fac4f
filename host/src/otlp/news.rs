//! What the log is told of a collector: rarely, and with a number.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Uri;
use metrics::Counter;

use super::exporter::Failed;

/// A collector that stays down is news once in so long.
const SILENCE: Duration = Duration::from_secs(60);

/// Counts spans that the collector does not get.
#[derive(Clone, Debug)]
pub(super) struct Lost {
    counter: Counter,
    untold: Arc<AtomicU64>,
}

impl Lost {
    pub(super) fn new() -> Self {
        Self { counter: metrics::counter!(crate::telemetry::SPANS_LOST), untold: Arc::default() }
    }

    pub(super) fn add(&self, spans: u64) {
        self.counter.increment(spans);
        self.untold.fetch_add(spans, Ordering::Relaxed);
    }

    /// How many were lost since this was last asked.
    fn take(&self) -> u64 {
        self.untold.swap(0, Ordering::Relaxed)
    }
}

/// What the log knows of the collector.
#[derive(Debug, Default)]
pub(super) struct News {
    /// When the last bad news was told.
    told: Option<Instant>,
    /// The last news was bad.
    is_bad: bool,
}

/// What is to be told now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tell {
    Nothing,
    Bad { why: String, lost: u64 },
    Good { lost: u64 },
}

impl News {
    /// Bad news once in [`SILENCE`], and good news after bad ones: a collector
    /// that comes and goes cannot fill the log.
    pub(super) fn of(&mut self, result: &Result<(), Failed>, lost: &Lost, now: Instant) -> Tell {
        let why = match result {
            Err(failed) => failed.to_string(),
            Ok(()) if std::mem::take(&mut self.is_bad) => return Tell::Good { lost: lost.take() },
            Ok(()) if lost.untold.load(Ordering::Relaxed) == 0 => return Tell::Nothing,
            Ok(()) => "it does not take all that come".to_owned(),
        };
        if self.told.is_some_and(|told| now.duration_since(told) < SILENCE) {
            return Tell::Nothing;
        }
        (self.told, self.is_bad) = (Some(now), true);
        Tell::Bad { why, lost: lost.take() }
    }
}

impl Tell {
    /// Names the collector without the path: some have a key in it.
    pub(super) fn tell(self, endpoint: &Uri) {
        let collector = endpoint.authority().map_or("", |authority| authority.as_str());
        match self {
            Self::Nothing => {}
            Self::Bad { why, lost } => tracing::warn!(
                collector,
                spans.lost = lost,
                "{lost} spans are lost on the way to the collector at {collector}: {why}; requests are served all the \
                 same; check OTEL_EXPORTER_OTLP_ENDPOINT and the collector"
            ),
            Self::Good { lost } => tracing::info!(
                collector,
                spans.lost = lost,
                "the collector at {collector} takes spans again, and {lost} more were lost"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Failed, Lost, News, Tell};

    #[test]
    fn a_collector_that_comes_and_goes_is_news_once_a_minute() {
        let (mut news, lost, start) = (News::default(), Lost::new(), Instant::now());
        let mut told = Vec::new();
        for second in 0..150 {
            let result = if second % 2 == 0 { Err(Failed::Over) } else { Ok(()) };
            lost.add(if result.is_err() { 3 } else { 0 });
            match news.of(&result, &lost, start + Duration::from_secs(second)) {
                Tell::Nothing => {}
                other => told.push((second, other)),
            }
        }
        let bad = |lost| Tell::Bad { why: "the host has stopped".to_owned(), lost };
        let good = || Tell::Good { lost: 0 };
        assert_eq!(told, [(0, bad(3)), (1, good()), (60, bad(90)), (61, good()), (120, bad(90)), (121, good())]);
    }

    #[test]
    fn a_slow_collector_is_news_when_spans_are_lost() {
        let (mut news, lost, now) = (News::default(), Lost::new(), Instant::now());
        assert_eq!(news.of(&Ok(()), &lost, now), Tell::Nothing);
        lost.add(7);
        assert!(matches!(news.of(&Ok(()), &lost, now), Tell::Bad { lost: 7, .. }));
        lost.add(2);
        assert_eq!(news.of(&Ok(()), &lost, now), Tell::Good { lost: 2 });
        assert_eq!(news.of(&Ok(()), &lost, now), Tell::Nothing);
    }
}
