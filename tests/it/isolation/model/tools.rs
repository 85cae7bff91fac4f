//! The same callers, by tools.

use serde_json::{Value, json};

use super::{CALLERS, PRIORITIES, Run, TAGS, Task, expect};
use crate::harness::As;
use crate::mcp::client::{answer, message, post};

/// What a tool shows of a task.
fn shown(task: &Task) -> Value {
    json!({ "id": task.id, "title": task.title, "completed": task.completed, "priority": task.priority, "tags": task.tags })
}

/// The same of an answer.
fn seen(task: &Value) -> Value {
    let field = |name: &str| (name.to_owned(), task[name].clone());
    ["id", "title", "completed", "priority", "tags"].map(field).into_iter().collect::<serde_json::Map<_, _>>().into()
}

impl Run {
    /// By one of the two ways. Gives what the tool said for programs, or nothing when
    /// it refused; and all that was said.
    async fn tool(&mut self, caller: usize, name: &str, arguments: Value) -> (Option<Value>, String) {
        let user = CALLERS[caller];
        let result = if self.rng.bool() {
            let call = message("tools/call", json!({ "name": name, "arguments": arguments }));
            answer(post(&self.host, &call).by(user)).await.1["result"].clone()
        } else {
            answer(self.host.post(&format!("/api/tools/{name}"), &arguments).by(user)).await.1
        };
        let done = result["structuredContent"].is_object() && result["isError"] != true;
        (done.then(|| result["structuredContent"].clone()), format!("{name} {arguments}: {result}"))
    }

    pub(super) async fn add_by_tool(&mut self, caller: usize, other: usize) -> Result<(), String> {
        self.made += 1;
        let tags: Vec<&str> = TAGS.into_iter().filter(|_| self.rng.bool()).collect();
        let title = format!("by tool {} of-{}", self.made, CALLERS[caller]);
        let mut task = Task { id: 0, title, completed: false, priority: PRIORITIES[self.rng.usize(..3)], tags };
        let mut arguments = json!({ "title": task.title, "priority": task.priority, "tags": task.tags });
        // Whose it is to be is nobody's to say.
        let posing = self.rng.u8(..4) == 0;
        if posing {
            arguments["user_id"] = json!(CALLERS[other]);
        }
        let (made, said) = self.tool(caller, "add_task", arguments).await;
        let Some(made) = made else { return expect(posing, &said) };
        task.id = made["task"]["id"].as_i64().unwrap_or_default();
        expect(seen(&made["task"]) == shown(&task), &said)?;
        self.tasks[caller].push(task);
        Ok(())
    }

    /// The whole list, or what is found with words of another's.
    pub(super) async fn list_by_tool(&mut self, caller: usize, other: usize) -> Result<(), String> {
        if self.rng.u8(..3) == 0 {
            let query = format!("of-{}", CALLERS[other]);
            let expected = self.tasks[caller].iter().filter(|task| task.title.contains(&query)).count();
            let (found, said) = self.tool(caller, "search_tasks", json!({ "query": query })).await;
            return expect(found.is_some_and(|found| found["total"] == expected), &said);
        }
        let expected: Vec<Value> = self.tasks[caller].iter().rev().map(shown).collect();
        let mut all = Vec::new();
        loop {
            let (found, said) = self.tool(caller, "list_tasks", json!({ "limit": 100, "offset": all.len() })).await;
            let found = found.ok_or(said)?;
            all.extend(found["tasks"].as_array().into_iter().flatten().map(seen));
            expect(found["total"] == expected.len(), &format!("{found} of {}", expected.len()))?;
            if found["next_offset"].is_null() {
                return expect(all == expected, &format!("{all:?}\n expected {expected:?}"));
            }
        }
    }

    /// Somebody's task, by its id alone: there is no other word for whose it is.
    pub(super) async fn touch_by_tool(&mut self, caller: usize, owner: usize) -> Result<(), String> {
        let Some(index) = self.rng.usize(..40).checked_rem(self.tasks[owner].len()) else { return Ok(()) };
        let id = self.tasks[owner][index].id;
        let title = format!("changed by tool {} of-{}", self.made, CALLERS[caller]);
        let kind = self.rng.u8(..4);
        let (done, said) = match kind {
            0 => self.tool(caller, "update_task", json!({ "task_id": id, "title": title })).await,
            1 => self.tool(caller, "complete_task", json!({ "task_id": id })).await,
            2 => self.tool(caller, "complete_tasks", json!({ "task_ids": [id] })).await,
            _ => self.tool(caller, "delete_task", json!({ "task_id": id })).await,
        };
        if caller != owner {
            // The refusal has nobody's title in it. What was asked for has the caller's,
            // which may begin like the owner's.
            let refusal = said.split_once("}: ").map_or(&*said, |(_, refusal)| refusal);
            return expect(done.is_none() && !refusal.contains("of-"), &said);
        }
        let task = &mut self.tasks[owner][index];
        match kind {
            0 => task.title = title,
            1 | 2 => task.completed = true,
            _ => drop(self.tasks[owner].remove(index)),
        }
        expect(done.is_some_and(|done| done["success"] == true), &said)
    }
}
