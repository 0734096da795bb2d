//! Boards: the contract, with every backend, and what a file adds to it: several processes, versions, and others who have it locked.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use dojob::board::conformance::{Subject, TESTS, keeps_the_contract};
use dojob::board::{
    Append, Board, BoardError, ClaimRequest, Durability, Item, MemoryBoard, NewPosting, Now, PostingId,
    Query, SqliteBoard, SqliteOptions,
};
use dojob::flow::{State, Step};
use tempfile::TempDir;

struct Memory(MemoryBoard);

impl Subject for Memory {
    fn open(&self) -> Box<dyn Board> {
        Box::new(self.0.clone())
    }
}

struct Sqlite {
    directory: TempDir,
    durability: Durability,
}

impl Sqlite {
    fn new(durability: Durability) -> Sqlite {
        Sqlite { directory: TempDir::new().expect("a directory"), durability }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("board.db")
    }
}

fn options(durability: Durability) -> SqliteOptions {
    let mut options = SqliteOptions::default();
    options.durability = durability;
    options
}

impl Subject for Sqlite {
    fn open(&self) -> Box<dyn Board> {
        Box::new(SqliteBoard::open_with(self.path(), options(self.durability)).expect("the board"))
    }
}

#[test]
fn memory_keeps_the_contract() {
    keeps_the_contract(|| Memory(MemoryBoard::new()));
}

#[test]
fn sqlite_keeps_the_contract() {
    keeps_the_contract(|| Sqlite::new(Durability::Full));
}

#[test]
fn sqlite_keeps_the_contract_where_power_may_be_lost() {
    keeps_the_contract(|| Sqlite::new(Durability::Relaxed));
}

#[test]
fn the_suite_names_each_of_its_rules_once() {
    let rules: std::collections::HashSet<_> = TESTS.iter().map(|(rule, _)| rule).collect();
    assert_eq!(rules.len(), TESTS.len());
}

fn id(text: &str) -> PostingId {
    PostingId::new(text).expect("an id")
}

fn posting(name: &str) -> NewPosting {
    NewPosting::new(id(name), "a flow", name.as_bytes())
}

fn request(conductor: &str) -> ClaimRequest {
    ClaimRequest {
        conductor: conductor.to_owned(),
        host: "here".to_owned(),
        lease: Duration::from_secs(30),
        only: None,
        skip: Vec::new(),
    }
}

/// Claims and finishes postings until there are none left, and returns how many it were.
fn work_off(board: &dyn Board, conductor: &str) -> usize {
    let mut done = 0;
    while let Some(claim) = board.claim(&Now::of_this_machine(), &request(conductor)).expect("a claim") {
        let items = [Item::Fact(conductor.to_owned()), Item::Step(Step::Converged)];
        let append = Append {
            posting: &claim.posting.id,
            term: claim.term,
            position: 0,
            items: &items,
            replaces: false,
            durability: Durability::Full,
        };
        board.append(&Now::of_this_machine(), &append).expect("an append");
        done += 1;
    }
    done
}

/// The variable that makes this test's binary one of several processes, and tells it which board.
const BOARD: &str = "BOARD_OF_THE_PROCESS";

fn process(test: &str, board: &Path) -> Child {
    Command::new(std::env::current_exe().expect("a test knows its own file"))
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(BOARD, board)
        .stdout(Stdio::null())
        .spawn()
        .expect("a process")
}

fn board_of_the_process() -> PathBuf {
    std::env::var_os(BOARD).expect("only as a process of another test").into()
}

#[test]
#[ignore = "a process of eight_processes_have_each_posting_once"]
fn one_of_eight_that_work() {
    let board = SqliteBoard::open(board_of_the_process()).expect("the board");
    work_off(&board, &format!("process {}", std::process::id()));
}

#[test]
fn eight_processes_have_each_posting_once() {
    const POSTINGS: usize = 400;
    let subject = Sqlite::new(Durability::Full);
    let board = subject.open();
    for number in 0..POSTINGS {
        board.post(&Now::of_this_machine(), &posting(&format!("p{number}"))).expect("a post");
    }
    let processes: Vec<_> = (0..8).map(|_| process("one_of_eight_that_work", &subject.path())).collect();
    for mut process in processes {
        assert!(process.wait().expect("its end").success());
    }
    let ended = board.postings(&Query::all()).expect("the list");
    assert_eq!(ended.len(), POSTINGS);
    for posting in ended {
        let log = board.read(&posting.id, 0, None).expect("the log");
        assert_eq!((posting.state, posting.term, log.len()), (State::Converged, 1, 3), "{}", posting.id);
    }
}

#[test]
#[ignore = "a process of eight_processes_make_one_board"]
fn one_of_eight_that_open() {
    let board = SqliteBoard::open(board_of_the_process()).expect("the board");
    let name = format!("process-{}", std::process::id());
    board.post(&Now::of_this_machine(), &posting(&name)).expect("a post");
}

#[test]
fn eight_processes_make_one_board() {
    for _ in 0..5 {
        let subject = Sqlite::new(Durability::Full);
        let processes: Vec<_> = (0..8).map(|_| process("one_of_eight_that_open", &subject.path())).collect();
        for mut process in processes {
            assert!(process.wait().expect("its end").success());
        }
        assert_eq!(subject.open().postings(&Query::all()).expect("the list").len(), 8);
    }
}

#[test]
#[ignore = "a process of whatever_was_answered_survives_a_kill"]
fn one_that_is_killed() {
    let board = SqliteBoard::open(board_of_the_process()).expect("the board");
    let now = Now::of_this_machine();
    board.post(&now, &posting("a")).expect("a post");
    let claim = board.claim(&now, &request("the killed")).expect("a claim").expect("there is one");
    for position in 0.. {
        let append = Append {
            posting: &claim.posting.id,
            term: claim.term,
            position,
            items: &[Item::Fact(position.to_string())],
            replaces: false,
            durability: Durability::Relaxed,
        };
        board.append(&now, &append).expect("an append");
        let answered = Path::new(&board_of_the_process()).with_extension("answered");
        std::fs::write(answered.with_extension("new"), position.to_string()).expect("a note");
        std::fs::rename(answered.with_extension("new"), answered).expect("a note");
    }
}

#[test]
fn whatever_was_answered_survives_a_kill() {
    let subject = Sqlite::new(Durability::Full);
    let board = subject.open();
    let mut killed = process("one_that_is_killed", &subject.path());
    let answered = || {
        let note = std::fs::read_to_string(subject.path().with_extension("answered"));
        note.map_or(0, |text| text.parse::<usize>().expect("a position"))
    };
    while answered() < 50 {
        assert!(killed.try_wait().expect("its state").is_none(), "it ends before it is killed");
        std::thread::yield_now();
    }
    killed.kill().expect("a kill");
    killed.wait().expect("its end");
    let log = board.read(&id("a"), 0, None).expect("the log");
    let facts: Vec<_> = log
        .into_iter()
        .filter_map(|entry| match entry.item {
            Item::Fact(text) => Some(text),
            _ => None,
        })
        .collect();
    assert!(facts.len() > answered(), "{} of {}", facts.len(), answered());
    let counted: Vec<_> = (0..facts.len()).map(|position| position.to_string()).collect();
    assert_eq!(facts, counted);
    assert!(board.claim(&Now::of_this_machine(), &request("another")).expect("a claim").is_none());
    let over = Now::of_this_machine().after(Duration::from_secs(30));
    let claim = board.claim(&over, &request("another")).expect("a claim").expect("its lease has run out");
    assert_eq!(claim.term, 2);
}

/// What somebody with a SQLite shell does to the file.
fn sqlite(path: &Path, batch: &str) {
    rusqlite::Connection::open(path).expect("the file").execute_batch(batch).expect("the statements");
}

#[test]
fn a_board_of_a_newer_version_is_refused_and_left_as_it_is() {
    let subject = Sqlite::new(Durability::Full);
    drop(subject.open());
    sqlite(
        &subject.path(),
        "PRAGMA user_version = 2; CREATE TABLE newer (it TEXT); PRAGMA wal_checkpoint(TRUNCATE)",
    );
    let before = std::fs::read(subject.path()).expect("the file");
    let error = SqliteBoard::open(subject.path()).unwrap_err();
    assert!(matches!(error, BoardError::Newer { found: 2, known: 1, .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "{} was written by a newer version (format 2; this program knows up to 1); it was left as it is",
            subject.path().display()
        )
    );
    assert!(std::fs::read(subject.path()).expect("the file") == before);
}

#[test]
fn whatever_is_not_a_board_is_refused_and_left_as_it_is() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("notes.txt");
    std::fs::write(&path, "what I have to do today, and what can wait until tomorrow; ".repeat(40)).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = SqliteBoard::open(&path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} is not a board: file is not a database; it was left as it is", path.display())
    );
    assert!(std::fs::read(&path).unwrap() == before);

    let path = directory.path().join("people.db");
    sqlite(&path, "CREATE TABLE people (name TEXT)");
    let error = SqliteBoard::open(&path).unwrap_err();
    assert!(matches!(error, BoardError::NotABoard { .. }), "{error}");

    let error = SqliteBoard::open(directory.path().join("none/board.db")).unwrap_err();
    assert!(matches!(error, BoardError::Io { .. }) && error.is_transient(), "{error}");
}

#[test]
fn whoever_waits_for_a_lock_gives_up_in_the_end_and_nothing_is_changed() {
    let subject = Sqlite::new(Durability::Full);
    let mut options = options(Durability::Full);
    options.patience = Duration::from_millis(30);
    let board = SqliteBoard::open_with(subject.path(), options).expect("the board");
    let other = rusqlite::Connection::open(subject.path()).expect("the file");
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let error = board.post(&Now::of_this_machine(), &posting("a")).unwrap_err();
    assert!(matches!(error, BoardError::Busy { .. }) && error.is_transient(), "{error}");
    assert!(board.postings(&Query::all()).expect("reading goes on").is_empty());
    other.execute_batch("ROLLBACK").expect("the lock is free");
    board.post(&Now::of_this_machine(), &posting("a")).expect("a post");
}

#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let subject = Sqlite::new(Durability::Full);
    let board = subject.open();
    board.post(&Now::of_this_machine(), &posting("a")).expect("a post");
    for entry in std::fs::read_dir(subject.directory.path()).expect("the directory") {
        let entry = entry.expect("a file");
        let mode = entry.metadata().expect("its mode").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
    }
}

#[test]
fn a_watch_ends_when_it_is_dropped() {
    let subject = Sqlite::new(Durability::Full);
    let board = subject.open();
    let wake = Arc::new(dojob::Wake::default());
    drop(board.watch(wake.clone()).expect("a watch"));
    assert_eq!(Arc::strong_count(&wake), 1);
}
