//! What is known of a request outside of it, and what is not.

use serde_json::Value;

use super::probe::says;
use crate::harness::{As, Collector, HostProcess, KEY, OpenAi, Turn, guest};

/// Words of a prompt and of an answer, and a key that upstreams echo.
#[tokio::test(flavor = "multi_thread")]
async fn the_key_and_the_words_are_in_no_log_answer_metric_or_span() {
    let echo = format!("Incorrect API key provided: {KEY}. You sent Bearer {KEY}, sk-tes****mWx");
    let model = OpenAi::start(vec![
        Turn::text("canary-answer and more").usage(33, 7),
        Turn::error(401, "invalid_api_key", &echo),
        Turn::error(400, "canary-code", &echo),
        Turn::text("canary-answer cut short here").cut_after(3),
        Turn::text("canary-answer").after(std::time::Duration::from_secs(20)),
    ])
    .await;
    let collector = Collector::start().await;
    let (probe, url, endpoint) = (guest("llm-probe").display().to_string(), model.url(), collector.url());
    let vars = [
        ("INNKEEPER_MODULE", &*probe),
        ("INNKEEPER_ADMIN_LISTEN", "127.0.0.1:0"),
        ("OPENAI_API_KEY", KEY),
        ("OPENAI_BASE_URL", &*url),
        ("RUST_LOG", "trace"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
    ];
    let host = HostProcess::serve(&vars).await;
    let client = reqwest::Client::new();
    let ask = |path: &str| client.post(host.url(path)).json(&says("canary-prompt")).by("ada");
    let mut answers = Vec::new();
    for path in ["/complete", "/complete", "/open", "/open"] {
        answers.push(ask(path).send().await.expect("an answer").text().await.expect("a text"));
    }
    let left = ask("/open").timeout(std::time::Duration::from_millis(500)).send().await;
    assert!(left.is_err());
    model.until_cancelled(1).await;
    let metrics = host.admin("/metrics").await;
    let finished = host.stop().await;
    assert_eq!(finished.status.code(), Some(0));

    assert!(answers[0].contains("canary-answer"), "{}", answers[0]);
    let refused: Value = serde_json::from_str(&answers[1]).expect("JSON");
    assert_eq!(refused["error"]["Upstream"]["status"], 401);
    let exported: String =
        collector.posts().iter().map(|(_, _, body)| String::from_utf8_lossy(body).into_owned()).collect();
    let seen = [&exported, &metrics, &finished.stderr, &finished.stdout, &answers[1], &answers[2]];
    for (index, text) in seen.into_iter().enumerate() {
        for secret in [KEY, &KEY[..12], "C4n4ryKey", "canary-prompt", "canary-answer", "canary-code"] {
            // A code is the upstream's word, and may be in the scrubbed line about it.
            let may = secret == "canary-code" && index == 2;
            let line = text.lines().find(|line| line.contains(secret)).filter(|_| !may);
            assert!(line.is_none(), "{secret} is in {index}: {}", line.unwrap_or_default());
        }
    }

    for line in [
        "innkeeper_llm_requests_total{module=\"llm-probe\",model=\"default\",outcome=\"ok\"} 1",
        "innkeeper_llm_requests_total{module=\"llm-probe\",model=\"default\",outcome=\"upstream\"} 2",
        "innkeeper_llm_requests_total{module=\"llm-probe\",model=\"default\",outcome=\"interrupted\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in:\n{metrics}");
    }
    assert!(metrics.contains("innkeeper_llm_first_event_seconds"), "{metrics}");
    let spans = collector.spans();
    let asked: Vec<_> = spans.iter().filter(|span| span.name == "chat gpt-4.1-mini").collect();
    assert_eq!((asked.len(), asked.iter().filter(|span| span.kind == 3).count()), (5, 5), "{spans:#?}");
    let good = asked.iter().find(|span| span.attribute("gen_ai.usage.output_tokens") == "7").expect("the first");
    assert_eq!(
        (good.attribute("gen_ai.usage.input_tokens"), good.attribute("gen_ai.request.model")),
        ("33", "gpt-4.1-mini")
    );
    assert_eq!((good.attribute("gen_ai.operation.name"), good.attribute("gen_ai.provider.name")), ("chat", "openai"));
    assert_eq!(good.attribute("gen_ai.request.max_tokens"), "4096");
    let kinds = ["upstream", "interrupted"];
    for kind in kinds {
        assert!(
            asked.iter().any(|span| span.attribute("error.type") == kind && span.status == 2),
            "{kind}: {asked:#?}"
        );
    }
    assert!(asked.iter().any(|span| !span.attribute("innkeeper.hung_up").is_empty()), "{asked:#?}");

    // One line for each failure, with whose fault it was and which request.
    let lines = finished.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let blamed: Vec<Value> = lines.filter(|line| line["llm.error"].is_string()).collect();
    assert_eq!(blamed.len(), 3, "{blamed:#?}");
    assert!(blamed.iter().all(|line| line["blame"] == "host" && line["request.id"].is_string()), "{blamed:#?}");
    model.finish();
}
