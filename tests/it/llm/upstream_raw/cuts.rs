//! A recorded answer, cut at every byte and put together from any pieces.

use futures_util::stream::{self, StreamExt};
use innkeeper::config::Dialect;

use super::{hasty, outcome, patient};
use crate::harness::{CHUNKED, RawModel, STREAM, Step, in_chunks, report};

const CHAT: &str = concat!(
    "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\n\n",
    ": a comment\r\n\r\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Grüße 🥐\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_a\",\"type\":\"function\",\"function\":{\"name\":\"add\",\"arguments\":\"\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"t\\\":\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"call_b\",\"type\":\"function\",\"function\":{\"name\":\"list\",\"arguments\":\"{}\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\\"ü\\\"}\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10}}\n\n",
    "data: [DONE]\n\n",
);
const RESPONSES: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"status\":\"in_progress\",\"output\":[]}}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"Grüße 🥐\"}\n\n",
    "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":1,\"item\":{\"type\":\"function_call\",\"id\":\"fc_a\",\"call_id\":\"call_a\",\"name\":\"add\",\"arguments\":\"\"}}\n\n",
    "event: response.function_call_arguments.delta\ndata: {\"type\":\"response.function_call_arguments.delta\",\"item_id\":\"fc_a\",\"output_index\":1,\"delta\":\"{\\\"t\\\":\\\"ü\\\"}\"}\n\n",
    "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"type\":\"function_call\",\"call_id\":\"call_a\",\"name\":\"add\",\"arguments\":\"{\\\"t\\\":\\\"ü\\\"}\"}}\n\n",
    "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"output_index\":2,\"item\":{\"type\":\"function_call\",\"call_id\":\"call_b\",\"name\":\"list\",\"arguments\":\"{}\"}}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"usage\":{\"input_tokens\":7,\"output_tokens\":3}}}\n\n",
);
const WHOLE: &str = "ToolCalls: \"Grüße 🥐\" add({\"t\":\"ü\"}) list({})";

/// The number behind `cut-` in a request's model.
fn number(request: &str) -> usize {
    let digits = request.split_once("cut-").expect("a cut").1;
    digits.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("a number")
}

async fn at_every_byte(dialect: Dialect, answer: Vec<u8>, begin: usize) -> (usize, usize) {
    let (length, sent) = (answer.len(), answer);
    let server = RawModel::scripted(move |request, _| vec![Step::send(&sent[..number(request)])]).await;
    let url = server.url();
    let one = |at: usize| {
        let mut model = hasty(&url, dialect);
        model.model = format!("cut-{at}");
        async move { (at, outcome(&model).await) }
    };
    let outcomes: Vec<(usize, String)> = stream::iter(begin..length).map(one).buffer_unordered(64).collect().await;
    let mut whole = 0;
    for (at, found) in &outcomes {
        if found.starts_with("ToolCalls") {
            assert!(found.starts_with(WHOLE), "cut at {at}: {found}");
            whole += 1;
        } else {
            assert!(found.starts_with("interrupted: "), "cut at {at}: {found}");
        }
    }
    (outcomes.len(), whole)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_at_any_byte_is_an_interruption_or_comes_too_late_to_matter() {
    for (dialect, body) in [(Dialect::Chat, CHAT), (Dialect::Responses, RESPONSES)] {
        let ended = format!("{STREAM}{body}").into_bytes();
        let (cuts, whole) = at_every_byte(dialect, ended, STREAM.len()).await;
        report(&format!("{dialect:?}: {cuts} cuts of a stream without a length, {whole} after its end"));
        let chunked = in_chunks(body.as_bytes(), &[40, 7, 190]);
        let (cuts, whole) = at_every_byte(dialect, chunked, CHUNKED.len()).await;
        report(&format!("{dialect:?}: {cuts} cuts of a stream in chunks, {whole} after its end"));
        assert!(whole > 0, "the end is known without the last byte");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pieces_of_any_size_make_the_same_answer() {
    let seed = fastrand::u64(..);
    report(&format!("seed {seed}"));
    for (dialect, body) in [(Dialect::Chat, CHAT), (Dialect::Responses, RESPONSES)] {
        let server = RawModel::scripted(move |request, _| {
            let mut random = fastrand::Rng::with_seed(seed ^ number(request) as u64);
            let most = [2, 5, 40, 400][number(request) % 4];
            let sizes: Vec<usize> = (0..500).map(|_| random.usize(1..=most)).collect();
            let answer = in_chunks(body.as_bytes(), &sizes);
            // Some of it late, so that what is read ends inside of chunks too.
            let (early, late) = answer.split_at(random.usize(..answer.len()));
            vec![Step::send(early), Step::Wait(std::time::Duration::from_millis(2)), Step::send(late)]
        })
        .await;
        let url = server.url();
        let one = |number: usize| {
            let mut model = patient(&url, dialect);
            model.model = format!("cut-{number}");
            async move { outcome(&model).await }
        };
        let outcomes: Vec<String> = stream::iter(0..200).map(one).buffer_unordered(32).collect().await;
        for found in outcomes {
            assert_eq!(found, format!("{WHOLE} 7/3"), "seed {seed}");
        }
    }
}
