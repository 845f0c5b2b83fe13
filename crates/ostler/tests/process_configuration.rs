//! Options from a file, the environment and the command line, and the questions that every program
//! answers.

use std::path::PathBuf;
use std::process::{Command, Output};

use ostler_testkit::{TestResult, TestServer};

/// A program that is to end by itself.
fn program(name: &str) -> TestResult<Command> {
    let test = std::env::current_exe()?;
    let profile = test.parent().and_then(|deps| deps.parent());
    let path = profile.map(|profile| profile.join("examples").join(name)).unwrap_or_default();
    Ok(Command::new(path))
}

/// Standard output of a program that ends well and says nothing on standard error.
fn said(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert_eq!(errors, "");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn scratch(name: &str, text: &str) -> TestResult<PathBuf> {
    let path = std::env::temp_dir().join(format!("ostler-{name}-{}.toml", std::process::id()));
    std::fs::write(&path, text)?;
    Ok(path)
}

#[test]
fn help_lists_every_option_on_standard_output_and_ends_well() -> TestResult {
    for name in ["chat", "echo", "ostler-echo"] {
        for argument in ["--help", "-h"] {
            let text = said(&program(name)?.arg(argument).output()?);
            for info in ostler::Options::table() {
                assert!(text.contains(&format!("--{} ", info.name)), "{name}: {}", info.name);
            }
            assert!(text.starts_with(&format!("Usage: {name} ")), "{text}");
        }
    }
    let text = said(&program("chat")?.arg("--help").output()?);
    assert!(text.contains("now redeliver:3"), "the program's own values are shown: {text}");
    Ok(())
}

#[test]
fn the_command_line_is_stronger_than_the_environment_and_that_than_the_file() -> TestResult {
    let file = scratch(
        "layers",
        "workers = 2\nreactors = 1\nlog_level = \"debug\"\nmemory_budget = \"32MiB\"\n",
    )?;
    let output = program("chat")?
        .args(["--print-options", "--workers", "5", "--config"])
        .arg(&file)
        .env("OSTLER_WORKERS", "4")
        .env("OSTLER_LOG_LEVEL", "error")
        .output()?;
    let text = said(&output);
    let origin = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} =")));
        line.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(origin("workers"), "workers = 5 # command line");
    assert_eq!(origin("log_level"), "log_level = 'error' # environment variable OSTLER_LOG_LEVEL");
    let line = format!("memory_budget = '32M' # {}, line 4", file.display());
    assert_eq!(origin("memory_budget"), line);
    assert_eq!(origin("crash_policy"), "crash_policy = 'redeliver:3' # the program");
    assert_eq!(origin("backlog"), "backlog = 512");

    // What was printed is a file that says the same.
    let printed = scratch("printed", &text)?;
    let again =
        said(&program("chat")?.args(["--print-options", "--config"]).arg(&printed).output()?);
    let values = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.contains(" = "));
        lines.map(|line| line.split('#').next().unwrap_or("").trim().to_owned()).collect()
    };
    assert_eq!(values(&again), values(&text));
    std::fs::remove_file(file)?;
    std::fs::remove_file(printed)?;
    Ok(())
}

#[test]
fn check_tells_what_is_wrong_in_every_source_with_its_place() -> TestResult {
    let good = program("chat")?.args(["--check", "--workers=2", "--reactors=2"]).output()?;
    let text = said(&good);
    assert!(text.starts_with("the options are valid"), "{text}");
    assert!(text.contains("session table"), "the memory plan: {text}");

    let file = scratch("wrong", "worker = 2\n\ndispatch = \"session_hsah\"\n")?;
    let output = program("chat")?
        .args(["--check", "--memory-budget=64MB", "--wrokers=1", "--config"])
        .arg(&file)
        .env("OSTLER_REACTOR", "4")
        .output()?;
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    for words in [
        &format!(
            "{}, line 1: there is no option `worker`: did you mean `workers`?",
            file.display()
        ),
        &format!("{}, line 3: option `dispatch` cannot be `session_hsah`", file.display()),
        "environment variable OSTLER_REACTOR: there is no option `reactor`: did you mean \
         `OSTLER_REACTORS`?",
        "command line: option `memory_budget` cannot be `64MB`",
        "the argument `--wrokers=1` is unknown: did you mean `--workers`?",
        "5 options are wrong",
    ] {
        assert!(text.contains(words), "{words} is not in: {text}");
    }
    std::fs::remove_file(file)?;
    Ok(())
}

#[test]
fn flags_take_their_value_behind_an_equals_sign_too() -> TestResult {
    let file = scratch("equals", "workers = 7\n")?;
    let config = format!("--config={}", file.display());
    let text =
        said(&program("chat")?.args([&config, "--set=reactors=2", "--print-options"]).output()?);
    assert!(text.contains("workers = 7 ") && text.contains("reactors = 2 "), "{text}");
    std::fs::remove_file(file)?;
    Ok(())
}

#[test]
fn check_looks_at_the_log_file_and_makes_none() -> TestResult {
    let directory = std::env::temp_dir();
    let new = directory.join(format!("ostler-checked-{}.log", std::process::id()));
    let set = format!("--log_file={}", new.display());
    said(&program("chat")?.args(["--check", "--workers=2", "--reactors=2", &set]).output()?);
    assert!(!new.exists());
    let output = program("chat")?.args(["--check", "--log_file=/nonexistent/log"]).output()?;
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("cannot append to `/nonexistent/log`"), "{text}");
    Ok(())
}

#[test]
fn an_answer_that_cannot_be_written_is_an_error_and_one_that_is_not_read_is_none() -> TestResult {
    for question in ["--help", "--check", "--print-options"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
        let output = program("chat")?.arg(question).stdout(full).output()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(4), "{question}: {text}");
        assert!(text.contains("cannot write to standard output"), "{text}");
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let output = program("chat")?.arg(question).stdout(writer).output()?;
        assert_eq!(output.status.code(), Some(0), "{question}");
    }
    Ok(())
}

#[test]
fn a_server_runs_with_what_its_file_says() -> TestResult {
    let file = scratch("serves", "workers = 3\nreactors = 2\n")?;
    let server = TestServer::chat().args(["--config"]).args([&file]).start()?;
    for worker in 0..3 {
        server.wait_for_log(&format!("serves worker=w{worker}."))?;
    }
    assert_eq!(server.workers().len(), 3);
    std::fs::remove_file(file)?;
    server.stop()
}
