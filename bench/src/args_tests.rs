//! The command line, by example.

use super::*;

fn parsed(line: &str) -> Result<Command> {
    parse(line.split(' ').map(OsString::from), PathBuf::from("/t/release/ostler-bench"))
}

fn peers(line: &str) -> Vec<String> {
    match parsed(line) {
        Ok(Command::Table(options)) => options.peers.into_iter().map(|peer| peer.name).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn load_options() {
    let line =
        "load --target 127.0.0.1:7 --connections 3 --size 10 --mode open --rate 50.5 --reconnect";
    let Ok(Command::Load(options)) = parsed(line) else { panic!("not a load") };
    assert_eq!((options.connections, options.size_bytes, options.pipeline), (3, 10, 1024));
    assert_eq!(options.mode, Mode::Open { rate_per_s: 50.5 });
    assert!(options.reconnect);
    let Ok(Command::Load(options)) = parsed("load --target 127.0.0.1:7 --requests 9") else {
        panic!("not a load")
    };
    assert_eq!((options.requests, options.duration_ms, options.pipeline), (Some(9), 60_000, 1));
}

#[test]
fn table_defaults_and_quick() {
    let Ok(Command::Table(options)) = parsed("table") else { panic!("not a table") };
    assert_eq!((options.rounds, options.duration_ms), (9, 1000));
    assert_eq!(options.extras, Extra::ALL);
    assert_eq!(options.sizes_bytes, [64, 4096, 65_536]);
    assert!(options.free && options.pinned);
    let ostler = &options.peers[2].command;
    assert_eq!(ostler[0], "/t/release/ostler-echo");
    assert!(ostler.join(" ").ends_with("--set reactors=1 --handler echo"));
    let Ok(Command::Table(options)) = parsed("table --quick --rounds 2 --placement free") else {
        panic!("not a table")
    };
    assert_eq!((options.rounds, options.duration_ms), (2, 300));
    assert!(options.free && !options.pinned);
    let Ok(Command::Table(options)) = parsed("table --sizes none --extras 2+2,churn") else {
        panic!("not a table")
    };
    assert_eq!(options.extras, [Extra::TwoByTwo, Extra::Churn]);
    assert!(options.sizes_bytes.is_empty());
}

#[test]
fn peers_are_selected_and_the_reference_stays() {
    assert_eq!(peers("table"), ["raw", "tokio", "ostler"]);
    assert_eq!(peers("table --only raw,tokio"), ["raw", "tokio"]);
    assert_eq!(peers("table --only tokio"), ["raw", "tokio"]);
    assert_eq!(peers("table --peer x=true --only x"), ["raw", "x"]);
}

#[test]
fn scenarios_are_selected() {
    let Ok(Command::Soak(options)) = parsed("soak --quick --only idle,reload") else {
        panic!("not a soak")
    };
    assert!(options.quick && options.only == ["idle", "reload"]);
    assert_eq!(options.instrument, PathBuf::from("/t/release/ostler-echo"));
    assert_eq!(options.examples, PathBuf::from("/t/release/examples"));
    let Ok(Command::Demo(options)) = parsed("demo --programs /x") else { panic!("not a demo") };
    assert_eq!(options.programs, PathBuf::from("/x"));
    let Ok(Command::Demo(options)) = parsed("demo") else { panic!("not a demo") };
    assert_eq!(options.programs, PathBuf::from("/t/release"));
}

#[test]
fn a_launched_command_keeps_its_own_options() {
    let Ok(Command::Launch { cpu, command }) = parsed("pinned 1 -- prog --listen x -- y") else {
        panic!("not a launch")
    };
    assert_eq!(cpu, Some(1));
    assert_eq!(command, ["prog", "--listen", "x", "--", "y"]);
    let Ok(Command::Launch { cpu, command }) = parsed("unpinned -- prog") else {
        panic!("not a launch")
    };
    assert_eq!((cpu, command), (None, vec!["prog".to_owned()]));
}

#[test]
fn nonsense_is_refused() {
    for line in [
        "nonsense",
        "load",
        "load --target x",
        "load --target 127.0.0.1:7 --mode open",
        "load --target 127.0.0.1:7 --rate 5",
        "table --only nobody",
        "table --peer raw=true",
        "table --sizes 1,x",
        "table --extras tea",
        "table --seconds 0",
        "pinned -- prog",
        "pinned 0",
        "unpinned --",
        "soak --only tea",
        "demo --quick",
        "raw-epoll-echo --port 3",
        "raw-epoll-echo --threads 0",
        "tokio-echo --threads 2",
    ] {
        assert!(matches!(parsed(line), Err(Error::Usage(_))), "{line}");
    }
}
