//! The todo guest under random requests of three callers, beside a model of what
//! each of them has: nobody sees, changes or counts what is another's. They ask the
//! guest over HTTP, and its tools over the Model Context Protocol and over HTTP.

mod tools;

use fastrand::Rng;
use reqwest::Method;
use serde_json::{Value, json};

use super::random::seed;
use crate::harness::{As, Database, Setup, TestHost, report};

const CALLERS: [&str; 3] = ["ada", "bob", "ada%"];
const PRIORITIES: [&str; 3] = ["low", "medium", "high"];
const TAGS: [&str; 4] = ["home", "work", "home-work", "a_b"];
const REQUESTS: usize = 400;
/// Sequences for each database.
const SEQUENCES: u64 = 3;

#[derive(Clone, Debug, PartialEq)]
struct Task {
    id: i64,
    title: String,
    completed: bool,
    priority: &'static str,
    tags: Vec<&'static str>,
}

impl Task {
    fn shown(&self, owner: &str) -> Value {
        json!({
            "id": self.id, "user_id": owner, "title": self.title, "completed": self.completed,
            "priority": self.priority, "tags": self.tags,
        })
    }
}

/// What a client sees of a task, without its times.
fn seen(task: &Value) -> Value {
    let field = |name: &str| (name.to_owned(), task[name].clone());
    ["id", "user_id", "title", "completed", "priority", "tags"]
        .map(field)
        .into_iter()
        .collect::<serde_json::Map<_, _>>()
        .into()
}

type Filter = Box<dyn Fn(&Task) -> bool>;

struct Run {
    host: TestHost,
    rng: Rng,
    /// In the order of their making.
    tasks: [Vec<Task>; 3],
    made: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_callers_ask_each_has_exactly_what_is_his() {
    let seed = seed();
    for database in Database::BOTH {
        for sequence in 0..SEQUENCES {
            let module = "[[module]]\nname = \"todo\"\nsource = \"replaced\"\ngrants = { sql = \"main\", accounts = false, llm = [], toolbox = [] }\n\
                          [module.config]\nlist_shape = \"tasks_total\"\n";
            let host = Setup::guest("todo").file(module).on(database).start().await;
            let mut run =
                Run { host, rng: Rng::with_seed(seed.wrapping_add(sequence)), tasks: Default::default(), made: 0 };
            for request in 0..REQUESTS {
                let (what, wrong) = run.step().await;
                let wrong = wrong.err().or(if request % 25 == 24 { run.compare().await.err() } else { None });
                assert_eq!(
                    wrong, None,
                    "INNKEEPER_TEST_SEED={seed}, {database:?}, sequence {sequence}, request {request}: {what}"
                );
            }
        }
    }
    let total = 2 * SEQUENCES as usize * REQUESTS;
    report(&format!("{total} random requests of {} callers, seed {seed}: each had what was his", CALLERS.len()));
}

impl Run {
    async fn ask(&self, method: Method, caller: usize, path: &str, body: Option<&Value>) -> (u16, Value, String) {
        let request = self.host.request(method, path).by(CALLERS[caller]);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or_default(), text)
    }

    /// One request; what it was, and what was wrong with its answer.
    async fn step(&mut self) -> (String, Result<(), String>) {
        let caller = self.rng.usize(..CALLERS.len());
        let other = (caller + self.rng.usize(1..CALLERS.len())) % CALLERS.len();
        let what = self.rng.u8(..16);
        let name = format!("{} does {what}", CALLERS[caller]);
        let result = match what {
            0..3 => self.create(caller, other).await,
            3..5 => self.list(caller).await,
            5 => self.touch(caller, caller, caller).await,
            6 => self.touch(caller, caller, other).await,
            7 => self.touch(caller, other, other).await,
            8 => self.touch(caller, other, caller).await,
            9 => self.list_of(caller, other).await,
            10..12 => self.add_by_tool(caller, other).await,
            12 => self.list_by_tool(caller, other).await,
            13 => self.touch_by_tool(caller, caller).await,
            _ => self.touch_by_tool(caller, other).await,
        };
        (name, result)
    }

    async fn create(&mut self, caller: usize, other: usize) -> Result<(), String> {
        self.made += 1;
        let words = ["milk", "100%", "A_b", "Zebra"];
        let tags: Vec<&str> = TAGS.into_iter().filter(|_| self.rng.bool()).collect();
        let mut task = Task {
            id: 0,
            title: format!("{} {} of-{}", words[self.rng.usize(..4)], self.made, CALLERS[caller]),
            completed: self.rng.bool(),
            priority: PRIORITIES[self.rng.usize(..3)],
            tags,
        };
        // What names another owner in the body changes nothing.
        let body = json!({
            "title": task.title, "completed": task.completed, "priority": task.priority, "tags": task.tags,
            "user_id": CALLERS[other], "owner": CALLERS[other],
        });
        let (status, made, text) = self.ask(Method::POST, caller, "/api/tasks", Some(&body)).await;
        task.id = made["id"].as_i64().unwrap_or_default();
        expect(status == 201 && seen(&made) == task.shown(CALLERS[caller]), &text)?;
        self.tasks[caller].push(task);
        Ok(())
    }

    async fn list(&mut self, caller: usize) -> Result<(), String> {
        let mut query = Vec::new();
        let mut fits: Vec<Filter> = Vec::new();
        if self.rng.bool() {
            let done = self.rng.bool();
            query.push(format!("status={}", if done { "completed" } else { "pending" }));
            fits.push(Box::new(move |task| task.completed == done));
        }
        if self.rng.u8(..3) == 0 {
            let priority = PRIORITIES[self.rng.usize(..3)];
            query.push(format!("priority={priority}"));
            fits.push(Box::new(move |task| task.priority == priority));
        }
        if self.rng.u8(..3) == 0 {
            let word = ["of-", "%", "_", "MILK", "of-bob", "' OR 1=1"][self.rng.usize(..6)];
            query.push(format!("search={}", word.replace('%', "%25").replace('\'', "%27").replace(' ', "+")));
            fits.push(Box::new(move |task| task.title.to_lowercase().contains(&word.to_lowercase())));
        }
        if self.rng.u8(..3) == 0 {
            let tag = TAGS[self.rng.usize(..4)];
            query.push(format!("tag={tag}"));
            fits.push(Box::new(move |task| task.tags.contains(&tag)));
        }
        let sort = self.rng.u8(..4);
        query.extend(
            [None, Some("sort=title"), Some("sort=created_asc"), Some("sort=priority&order=asc")][usize::from(sort)]
                .map(str::to_owned),
        );
        let (limit, offset) = (self.rng.usize(1..20), self.rng.usize(..10));
        query.push(format!("limit={limit}&offset={offset}"));

        let mut expected: Vec<&Task> =
            self.tasks[caller].iter().rev().filter(|task| fits.iter().all(|fits| fits(task))).collect();
        match sort {
            1 => expected.sort_by_key(|task| task.title.to_lowercase()),
            2 => expected.reverse(),
            3 => expected.sort_by_key(|task| PRIORITIES.iter().position(|priority| *priority == task.priority)),
            _ => {}
        }
        let (total, page) = (expected.len(), expected.iter().skip(offset).take(limit));
        let page: Vec<Value> = page.map(|task| task.shown(CALLERS[caller])).collect();
        let path = format!("/api/tasks?{}", query.join("&"));
        let (status, answer, text) = self.ask(Method::GET, caller, &path, None).await;
        let found: Vec<Value> = answer["tasks"].as_array().into_iter().flatten().map(seen).collect();
        expect(
            status == 200 && found == page && answer["total"] == total,
            &format!("{path}: {text}\n expected {total}: {page:?}"),
        )
    }

    /// Somebody's id under somebody's path.
    async fn touch(&mut self, caller: usize, path: usize, owner: usize) -> Result<(), String> {
        let Some(index) = self.rng.usize(..40).checked_rem(self.tasks[owner].len()) else { return Ok(()) };
        let id = self.tasks[owner][index].id;
        let may = caller == path && caller == owner;
        let base = format!("/api/{}/tasks/{id}", CALLERS[path].replace('%', "%25"));
        let title = format!("changed {} of-{}", self.made, CALLERS[caller]);
        let body = json!({ "title": title });
        let task = &mut self.tasks[owner][index];
        let kind = self.rng.u8(..5);
        let (method, url, body) = match kind {
            0 => (Method::GET, base, None),
            1 => (Method::PUT, base, Some(&body)),
            2 => (Method::PATCH, base, Some(&body)),
            3 => (Method::PATCH, format!("{base}/complete"), None),
            _ => (Method::DELETE, base, None),
        };
        if may {
            match kind {
                1 | 2 => task.title.clone_from(&title),
                3 => task.completed = !task.completed,
                _ => {}
            }
        }
        let expected = task.shown(CALLERS[owner]);
        let (status, answer, text) = self.ask(method.clone(), caller, &url, body).await;
        let said = format!("{method} {url}: {status} {text}");
        if !may {
            let of_others =
                CALLERS.iter().enumerate().any(|(n, name)| n != caller && text.contains(&format!("of-{name}\"")));
            return expect(matches!(status, 403 | 404) && !of_others, &said);
        }
        if kind == 4 {
            self.tasks[owner].remove(index);
            return expect(status == 200, &said);
        }
        expect(status == 200 && seen(&answer) == expected, &said)
    }

    async fn list_of(&self, caller: usize, other: usize) -> Result<(), String> {
        let path = format!("/api/{}/tasks?search=of", CALLERS[other].replace('%', "%25"));
        let (status, _, text) = self.ask(Method::GET, caller, &path, None).await;
        expect(matches!(status, 403 | 404) && !text.contains("of-"), &text)
    }

    /// Everybody's whole list is the model's.
    async fn compare(&self) -> Result<(), String> {
        for (caller, tasks) in self.tasks.iter().enumerate() {
            let expected: Vec<Value> = tasks.iter().rev().map(|task| task.shown(CALLERS[caller])).collect();
            let (_, answer, text) = self.ask(Method::GET, caller, "/api/tasks", None).await;
            let found: Vec<Value> = answer["tasks"].as_array().into_iter().flatten().map(seen).collect();
            expect(found == expected && answer["total"] == expected.len(), &format!("{text}\n expected {expected:?}"))?;
        }
        Ok(())
    }
}

fn expect(right: bool, said: &str) -> Result<(), String> {
    if right { Ok(()) } else { Err(said.to_owned()) }
}
