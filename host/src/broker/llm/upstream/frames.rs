//! Server-sent events, taken apart only as far as needed to count them, to cap
//! them and to end the last one: what comes out is one line of data per event,
//! and the client library reads that.

use bytes::{Buf, Bytes, BytesMut};
use serde::de::IgnoredAny;

/// Bytes of one event. The last of the Responses interface repeats the whole
/// answer; nothing else is beyond a few kilobytes.
pub(super) const EVENT_BYTES: usize = 4 << 20;
/// How streams are ended; no JSON.
pub(super) const DONE: &[u8] = b"data: [DONE]\n\n";
const BOM: &[u8] = b"\xef\xbb\xbf";

/// One event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// `data: ` with what it holds, and its end.
    Data(Bytes),
    /// The mark of the end.
    Done,
}

/// An event was too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Reads events out of chunks.
#[derive(Debug, Default)]
pub(super) struct Frames {
    line: BytesMut,
    data: BytesMut,
    has_data: bool,
    /// A sign of life, as OpenAI sends them.
    is_keepalive: bool,
    /// The last byte was a carriage return, which a line feed may belong to.
    after_return: bool,
    has_begun: bool,
}

impl Frames {
    /// The next event of a chunk, from which it takes what it has read; none when
    /// it needs another chunk.
    pub(super) fn next(&mut self, chunk: &mut Bytes) -> Result<Option<Frame>, TooLong> {
        while !chunk.is_empty() {
            if std::mem::take(&mut self.after_return) && chunk[0] == b'\n' {
                chunk.advance(1);
                continue;
            }
            let end = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let part = chunk.split_to(end.unwrap_or(chunk.len()));
            if self.line.len() + self.data.len() + part.len() > EVENT_BYTES {
                return Err(TooLong);
            }
            self.line.extend_from_slice(&part);
            if end.is_some() {
                self.after_return = chunk.get_u8() == b'\r';
                if let Some(frame) = self.line() {
                    return Ok(Some(frame));
                }
            }
        }
        Ok(None)
    }

    /// The event that the end of the stream found without its blank line, if it is
    /// whole all the same.
    pub(super) fn last(&mut self) -> Option<Frame> {
        if !self.line.is_empty() {
            self.line();
        }
        let data = self.data.trim_ascii();
        let is_whole =
            data == b"[DONE]" || (data.starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(data).is_ok());
        if is_whole { self.dispatch() } else { None }
    }

    fn line(&mut self) -> Option<Frame> {
        let line = self.line.split().freeze();
        let line = if std::mem::replace(&mut self.has_begun, true) {
            &line[..]
        } else {
            line.strip_prefix(BOM).unwrap_or(&line)
        };
        if line.is_empty() {
            return self.dispatch();
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"data" => {
                // JSON has no line end inside a text, so a space does between lines.
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.extend_from_slice(b" ");
                }
                self.data.extend_from_slice(value);
            }
            b"event" => self.is_keepalive = value == b"keepalive",
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Frame> {
        let data = self.data.split().freeze();
        let is_keepalive = std::mem::take(&mut self.is_keepalive);
        self.has_data = false;
        match data.trim_ascii() {
            b"" => None,
            b"[DONE]" => Some(Frame::Done),
            _ if is_keepalive => None,
            data => Some(Frame::Data(framed(data))),
        }
    }
}

/// One event as the client library wants it.
pub(super) fn framed(data: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(data.len() + 8);
    frame.extend_from_slice(b"data: ");
    // A body that is no stream may be printed over several lines.
    frame.extend(data.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    frame.extend_from_slice(b"\n\n");
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{EVENT_BYTES, Frame, Frames, TooLong};

    /// Reads a stream in chunks of a size.
    fn read(stream: &str, size: usize) -> Vec<String> {
        let (mut frames, mut found) = (Frames::default(), Vec::new());
        let text = |frame| match frame {
            Frame::Data(data) => {
                let text = String::from_utf8(data.to_vec()).expect("text");
                text.strip_prefix("data: ").and_then(|text| text.strip_suffix("\n\n")).expect("a frame").to_owned()
            }
            Frame::Done => "done".to_owned(),
        };
        for chunk in stream.as_bytes().chunks(size) {
            let mut chunk = Bytes::copy_from_slice(chunk);
            while let Some(frame) = frames.next(&mut chunk).expect("short") {
                found.push(text(frame));
            }
        }
        found.extend(frames.last().map(text));
        found
    }

    #[track_caller]
    fn check(stream: &str, expected: &[&str]) {
        for size in 1..=stream.len() {
            assert_eq!(read(stream, size), expected, "in chunks of {size}: {stream:?}");
        }
    }

    #[test]
    fn events_are_found_however_they_are_written_and_cut() {
        check("data: {\"a\":1}\n\ndata: [DONE]\n\n", &["{\"a\":1}", "done"]);
        check("data:{\"a\":\"ü\"}\r\n\r\ndata:  [DONE] \r\n\r\n", &["{\"a\":\"ü\"}", "done"]);
        check("data: {}\r\rdata: {}\r\r", &["{}", "{}"]);
        check("\u{feff}data: {}\n\n", &["{}"]);
        check(": comment\n\nevent: x\nid: 1\nretry: 5\ndata: {\ndata: }\n\n", &["{ }"]);
        check("event: keepalive\ndata: {}\n\ndata: {}\n\n", &["{}"]);
        check("data:\n\ndata\n\n\n\ndata: {}\n\n", &["{}"]);
        check("{\"not\":\"sse\"}\n", &[]);
    }

    #[test]
    fn the_last_event_counts_without_its_blank_line_if_it_is_whole() {
        check("data: {\"a\":1}", &["{\"a\":1}"]);
        check("data: {\"a\":1}\n", &["{\"a\":1}"]);
        check("data: [DONE]", &["done"]);
        check("data: {\"a\":1", &[]);
        check("data: [DON", &[]);
        check("data: 1", &[]);
    }

    #[test]
    fn an_event_has_an_end() {
        let mut frames = Frames::default();
        let mut chunk = Bytes::from(vec![b'a'; EVENT_BYTES + 1]);
        assert_eq!(frames.next(&mut chunk), Err(TooLong));
    }
}
