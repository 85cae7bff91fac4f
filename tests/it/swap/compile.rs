//! Components are compiled by another process, which has limits of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use innkeeper::config::Compile;
use innkeeper::registry::Source;
use innkeeper::registry::artifact::Artifacts;
use innkeeper::registry::compile::{Compiler, NotCompiled};

use crate::harness::{Setup, binary, guest};

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (number & 0x7f) as u8;
        number >>= 7;
        bytes.push(if number == 0 { byte } else { byte | 0x80 });
        if number == 0 {
            return bytes;
        }
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], &leb(content.len())[..], content].concat()
}

/// A component of a few megabytes that keeps a compiler busy for a minute: `functions`
/// of them, each with `steps` multiplications that all count.
fn bomb(functions: usize, steps: usize) -> Vec<u8> {
    // (func (param i32) (result i32) local.get 0, (i32.const 3, i32.mul, local.get 0, i32.xor)*)
    let body = [&[0, 0x20, 0][..], &[0x41, 3, 0x6c, 0x20, 0, 0x73].repeat(steps), &[0x0b]].concat();
    let body = [&leb(body.len())[..], &body].concat();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[1, 0x60, 1, 0x7f, 1, 0x7f]),
        section(3, &[leb(functions), vec![0; functions]].concat()),
        section(10, &[leb(functions), body.repeat(functions)].concat()),
    ];
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, &module.concat())].concat()
}

async fn compile(program: PathBuf, limits: Compile, wasm: Vec<u8>) -> (Result<(), NotCompiled>, Duration) {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = innkeeper::engine::build(1).expect("an engine");
    let artifacts = Artifacts::open(dir.path(), Compiler::new(program, limits)).expect("a private directory");
    let started = Instant::now();
    let compiled = Arc::new(artifacts).component(&engine, Source::new("none.wasm", wasm)).await.map(|_| ());
    (compiled, started.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_takes_too_much_is_refused_and_the_host_goes_on() {
    let default = Compile::default();
    let long = Compile { cpu: Duration::from_secs(1), ..default };
    let (compiled, took) = compile(binary(), long, bomb(400, 2_000)).await;
    assert!(matches!(compiled, Err(NotCompiled::Time(_))), "{compiled:?}");
    // Without limits it takes a minute.
    assert!(took < Duration::from_secs(20), "{took:?}");
    let large = Compile { memory: 64 << 20, ..default };
    let (compiled, _) = compile(binary(), large, bomb(400, 2_000)).await;
    assert!(matches!(compiled, Err(NotCompiled::Memory(_))), "{compiled:?}");
    // Within the limits of the default, and of a size that guests have.
    let (compiled, _) = compile(binary(), default, std::fs::read(guest("todo")).expect("built")).await;
    assert!(compiled.is_ok(), "{compiled:?}");
    let (compiled, _) = compile(binary(), default, b"\0asm\x0d\0\x01\0nonsense".to_vec()).await;
    assert!(matches!(compiled, Err(NotCompiled::Invalid(_))), "{compiled:?}");
    let (compiled, _) = compile("/nowhere".into(), default, bomb(1, 1)).await;
    assert!(matches!(&compiled, Err(NotCompiled::Broken(why)) if why.contains("cannot be started")), "{compiled:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_swaps_such_a_component_in_reads_why_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("hello.wasm");
    std::fs::copy(guest("hello"), &file).expect("copied");
    let host = Setup::module(&file).file("[compile]\ncpu = \"5s\"\n").env("INNKEEPER_WATCH", "0").start().await;
    std::fs::write(&file, bomb(1_000, 4_000)).expect("written");
    let asked = host.client.post(format!("http://{}/modules/hello", host.admin)).send();
    let meanwhile = async {
        // It takes its time, and nobody else's.
        for _ in 0..10 {
            assert_eq!(host.get("/").send().await.expect("an answer").status(), 200);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (answer, ()) = tokio::join!(asked, meanwhile);
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), 422);
    let told = answer.text().await.expect("a text");
    assert!(
        told.contains("module `hello`: compiling it takes longer than 5 s") && told.contains("compile.cpu"),
        "{told}"
    );
    assert_eq!(host.get("/").send().await.expect("an answer").status(), 200);
}
