//! What an answer's head says about asking again, and when that is done.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, header};

use super::failure::{Failure, Retry};

/// Attempts after the first. More: an upstream in trouble gets more of it.
pub(super) const RETRIES: u32 = 2;
/// The pause before the first retry, doubled for the next. Shorter: whatever was
/// wrong still is.
const PAUSE: Duration = Duration::from_millis(500);
/// No pause is longer. A caller is waiting.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// The upstream's own word is followed up to here. Beyond, the guest is told when
/// to come back, for it can do better with the time than to wait.
const LONGEST_WANTED: Duration = Duration::from_secs(10);
/// A guest is told to wait for so long at most; who says more means never.
const LONGEST_TOLD: Duration = Duration::from_secs(24 * 60 * 60);
/// An id for the provider's support. Longer ones are none.
const REQUEST_ID_BYTES: usize = 128;

/// What an answer's head says.
#[derive(Debug, Default)]
pub(super) struct Hints {
    pub(super) retry_after: Option<Duration>,
    pub(super) should_retry: Option<bool>,
    pub(super) request_id: Option<String>,
}

impl Hints {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let should_retry = match text("x-should-retry") {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        Self { retry_after: retry_after(headers), should_retry, request_id: request_id(headers) }
    }
}

/// The upstream's id of a request.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    let names = [HeaderName::from_static("x-request-id"), HeaderName::from_static("apim-request-id")];
    let id = names.iter().find_map(|name| headers.get(name)?.to_str().ok())?;
    (!id.is_empty() && id.len() <= REQUEST_ID_BYTES).then(|| id.to_owned())
}

/// In milliseconds, in seconds, or as a date. The two fields can contradict each
/// other; the finer one is meant for programs, and OpenAI's own prefer it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| *number >= 0.0);
    let fine = text(HeaderName::from_static("retry-after-ms")).and_then(number).map(|ms| ms / 1_000.0);
    let coarse = || text(header::RETRY_AFTER).and_then(number);
    let date = || {
        let date = httpdate::parse_http_date(text(header::RETRY_AFTER)?).ok()?;
        Some(date.duration_since(SystemTime::now()).unwrap_or_default())
    };
    let after = fine.or_else(coarse).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).or_else(date);
    after.map(|after| after.min(LONGEST_TOLD))
}

/// How long to pause before another attempt, or why there is none.
///
/// # Errors
/// The failure, as the guest gets it.
pub(super) fn pause(failure: Failure, retries: u32, left: Duration) -> Result<Duration, Failure> {
    let pause = match failure.retry {
        Retry::Never => return Err(failure),
        Retry::After(after) if after > LONGEST_WANTED => return Err(failure.put_off(after)),
        Retry::After(after) => after.max(jittered(retries).min(PAUSE)),
        Retry::Soon => jittered(retries),
    };
    // An attempt that has no time left is none.
    if retries == RETRIES || pause >= left { Err(failure) } else { Ok(pause) }
}

/// Between once and twice the pause: many callers that failed together do not
/// come back together.
fn jittered(retries: u32) -> Duration {
    let pause = PAUSE * 2_u32.pow(retries);
    // Without randomness at hand a pause without jitter does.
    let share = f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX);
    (pause + pause.mul_f64(share)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

    use super::{Hints, jittered, pause};
    use crate::broker::llm::LlmError;
    use crate::broker::llm::upstream::failure::Failure;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
        };
        fields.iter().map(field).collect()
    }

    fn wanted(fields: &[(&'static str, &str)]) -> Option<Duration> {
        Hints::read(&headers(fields)).retry_after
    }

    #[test]
    fn the_time_to_wait_is_read_in_all_its_forms() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(wanted(&[("retry-after", "3")]), seconds(3));
        assert_eq!(wanted(&[("retry-after", " 0.5 ")]), Some(Duration::from_millis(500)));
        assert_eq!(wanted(&[("retry-after-ms", "250"), ("retry-after", "60")]), Some(Duration::from_millis(250)));
        assert_eq!(wanted(&[("retry-after", "-1")]), None);
        assert_eq!(wanted(&[("retry-after", "soon")]), None);
        assert_eq!(wanted(&[("retry-after", "inf")]), None);
        assert_eq!(wanted(&[("retry-after", "99999999999")]), seconds(86_400));
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(90));
        let until = wanted(&[("retry-after", &date)]).expect("a date");
        assert!((80..=90).contains(&until.as_secs()), "{until:?}");
        assert_eq!(wanted(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]), seconds(0));
    }

    #[test]
    fn pauses_grow_differ_and_end() {
        for (retries, range) in [(0, 500..=1_000), (1, 1_000..=2_000), (4, 8_000..=8_000)] {
            assert!(range.contains(&jittered(retries).as_millis()), "{:?}", jittered(retries));
        }
        let pauses: Vec<Duration> = (0..8).map(|_| jittered(0)).collect();
        assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{pauses:?}");
    }

    #[test]
    fn a_wait_that_is_too_long_is_the_guests() {
        let hour = headers(&[("retry-after", "3600")]);
        let left = Duration::from_secs(30);
        let limited = Failure::refused(StatusCode::TOO_MANY_REQUESTS, &hour, b"", String::new());
        let busy = Failure::refused(StatusCode::SERVICE_UNAVAILABLE, &hour, b"", String::new());
        for failure in [limited, busy] {
            let LlmError::RateLimited(info) = pause(failure, 0, left).expect_err("a wait").error else { panic!() };
            assert_eq!(info.retry_after, Some(Duration::from_secs(3_600)));
        }
        let failure = || Failure::refused(StatusCode::BAD_GATEWAY, &HeaderMap::new(), b"", String::new());
        assert!(pause(failure(), 1, left).is_ok());
        assert!(pause(failure(), 2, left).is_err(), "two retries are the most");
        assert!(pause(failure(), 0, Duration::from_millis(400)).is_err(), "no time is left");
    }
}
