//! The programs of examples/ are built without a word from the compiler, and chat as they should.

use child::{PATIENCE, free_port};
use client::{Client, quiet_crowd};
use installed::{is_installed, skip};
use libc::{SIGINT, SIGTERM, c_int};
use program::{Ended, Program, set_apart};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};
use std::{env, fs};

#[path = "common/child.rs"]
mod child;
#[path = "common/client.rs"]
#[expect(dead_code, reason = "the server's tests need more of a client")]
mod client;
#[path = "common/compiler.rs"]
mod compiler;
#[path = "common/installed.rs"]
mod installed;
#[path = "common/make.rs"]
mod make;
#[path = "common/program.rs"]
#[expect(dead_code, reason = "the server's tests need more of a program")]
mod program;

/// The limit on descriptors that a program usually has.
const USUAL_LIMIT: u64 = 1024;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Brings the library up to date: once, however many tests want it at a time.
fn make_library() {
    static MADE: LazyLock<()> = LazyLock::new(make::all);
    LazyLock::force(&MADE);
}

/// The program called `name` as each of the compilers builds it.
fn built(name: &str) -> Vec<Command> {
    static FOLDERS: LazyLock<Vec<PathBuf>> = LazyLock::new(|| {
        make_library();
        [("gcc", "g++"), ("clang", "clang++")].into_iter().filter_map(build_with).collect()
    });
    FOLDERS.iter().map(|folder| under_runner(&folder.join(name))).collect()
}

/// Builds all programs, with warnings as errors, and answers where they are.
fn build_with((cc, cxx): (&str, &str)) -> Option<PathBuf> {
    for compiler in [cc, cxx] {
        if !is_installed(compiler) {
            skip(&format!("no {compiler}"));
            return None;
        }
    }
    let folder = format!("build/examples/{cc}");
    make::make(&[
        "examples",
        &format!("EXAMPLES={folder}"),
        &format!("CC={cc}"),
        &format!("CXX={cxx}"),
        "CFLAGS=-O2 -Werror",
        "CXXFLAGS=-O2 -Werror",
    ]);
    Some(root().join(folder))
}

/// The program, behind `EXAMPLE_RUNNER` where that is wanted.
fn under_runner(program: &Path) -> Command {
    let runner = env::var("EXAMPLE_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    let mut command = Command::new(words.next().map_or(program, Path::new));
    command.args(words);
    if !runner.is_empty() {
        command.arg(program);
    }
    command
}

/// The script, where there is somebody to read it.
fn script() -> Option<Command> {
    if !is_installed("python3") {
        skip("no python3");
        return None;
    }
    make_library();
    let mut command = Command::new("python3");
    command.arg(root().join("examples/chat.py"));
    Some(command)
}

/// A chat room that one of the examples has opened.
struct Room {
    port: u16,
    program: Program,
}

impl Room {
    fn open(command: Command) -> Self {
        Self::open_with_limit(command, USUAL_LIMIT)
    }

    /// A room whose program may have so many descriptors.
    fn open_with_limit(mut command: Command, limit: u64) -> Self {
        let port = free_port();
        set_apart(&mut command, limit);
        let mut program = Program::start(command.arg(port.to_string()));
        assert!(program.listens_on(port), "{}", program.ended().complaints);
        Self { port, program }
    }

    fn joins<const COUNT: usize>(&self) -> [Client; COUNT] {
        let Ok(clients) = quiet_crowd(self.port, COUNT).try_into() else {
            panic!("as many as asked for")
        };
        clients
    }

    fn visitor(&self) -> Client {
        Client::connect(Ipv4Addr::LOCALHOST.into(), self.port)
    }

    fn end_by(self, signal: c_int) -> Ended {
        self.program.signal(signal);
        ended(self.program)
    }

    /// Waits until the program waits, and has no end of things to do.
    fn comes_to_rest(&self) {
        let stat = format!("/proc/{}/stat", self.program.pid());
        let is_asleep = || {
            let stat = fs::read_to_string(&stat).expect("the program runs");
            let (_, state) = stat.rsplit_once(") ").expect("the name is in parentheses");
            state.starts_with('S')
        };
        let deadline = Instant::now() + PATIENCE;
        while !(0..100).all(|_| is_asleep()) {
            assert!(Instant::now() < deadline, "the program goes round and round");
        }
    }
}

/// Waits for a program's end. What valgrind only lists is no complaint of the program's; what it
/// finds fault with is in the status.
fn ended(program: Program) -> Ended {
    let mut ended = program.ended();
    let own = |line: &&str| !line.starts_with("==");
    ended.complaints = ended.complaints.split_inclusive('\n').filter(own).collect();
    ended
}

/// Everything that happens in a chat, each said and heard to the byte.
fn chat(room: &Room) {
    let [one, two, three] = room.joins();
    one.say("hello\n");
    two.expect("hello\n");
    three.expect("hello\n");
    one.say("half of ");
    two.say("a whole line\n");
    one.expect("a whole line\n");
    three.expect("a whole line\n");
    one.say("a line\n");
    two.expect("half of a line\n");
    three.expect("half of a line\n");
    let burst = burst();
    one.say(&burst);
    two.expect(&burst);
    three.expect(&burst);
    three.say("last words");
    drop(three);
    one.expect("last words");
    two.expect("last words");
    two.reset();
    let four = room.visitor();
    four.say("a newcomer\n");
    one.expect("a newcomer\n");
    one.say("good bye\n");
    four.expect("good bye\n");
}

/// Lines that are more than the kernel holds for one who does not read, and no more than the
/// library does.
fn burst() -> String {
    "a line for a queue\n".repeat(370_000)
}

/// A program that chats, and ends in order when it is told to.
fn chats(command: Command, complaints: &str) {
    let room = Room::open(command);
    chat(&room);
    let [one, two] = room.joins();
    one.say("half a line that nobody is to hear");
    let ended = room.end_by(SIGTERM);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.complaints);
    assert_eq!(ended.complaints, complaints);
    one.expect_end();
    two.expect_end();
}

/// When the program has no descriptor left, those inside go on, and a newcomer waits until
/// somebody leaves. Without clients it has `own` descriptors.
fn waits_for_a_descriptor(command: Command, own: u64) {
    let room = Room::open_with_limit(command, own + 2);
    let [one, two] = room.joins();
    let three = room.visitor();
    one.say("is it full?\n");
    two.expect("is it full?\n");
    room.comes_to_rest();
    drop(two);
    three.say("not any more\n");
    one.expect("not any more\n");
    let _ = room.end_by(SIGTERM);
}

#[test]
fn the_smallest_server_chats() {
    for command in built("chat") {
        let room = Room::open(command);
        chat(&room);
        let ended = room.end_by(SIGTERM);
        assert_eq!(ended.status.signal(), Some(SIGTERM), "it has nothing to set in order");
        assert_eq!(ended.complaints, "");
    }
}

#[test]
fn the_smallest_server_waits_for_a_descriptor() {
    for command in built("chat") {
        waits_for_a_descriptor(command, 4);
    }
}

#[test]
fn the_readme_shows_the_smallest_server() {
    let source = fs::read_to_string(root().join("examples/chat.c")).expect("it is there");
    let readme = fs::read_to_string(root().join("README.md")).expect("it is there");
    assert!(readme.contains(&format!("```c\n{source}```\n")), "not as in examples/chat.c");
}

#[test]
fn the_room_in_cpp_chats() {
    for command in built("room") {
        chats(command, "read: Connection reset by peer\n");
    }
}

#[test]
fn the_room_in_cpp_waits_for_a_descriptor() {
    for command in built("room") {
        waits_for_a_descriptor(command, 4);
    }
}

#[test]
fn the_script_chats() {
    if let Some(command) = script() {
        chats(command, "[Errno 104] Connection reset by peer\n");
    }
}

#[test]
fn the_script_waits_for_a_descriptor() {
    if let Some(command) = script() {
        waits_for_a_descriptor(command, 6);
    }
}

#[test]
fn the_script_has_the_layout_of_the_compiler() {
    let Some(mut command) = script() else { return };
    let program = root().join("build/examples/layout");
    compiler::build(&root().join("tests/layout.c"), &[], &program).expect("it can be built");
    let lines = |command: &mut Command| -> BTreeSet<String> {
        let output = command.output().expect("it can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().map(str::to_owned).collect()
    };
    assert_eq!(lines(command.arg("--layout")), lines(&mut Command::new(program)));
}

#[test]
fn a_room_beside_a_loop_of_its_own_chats() {
    for command in built("own_loop") {
        chats(command, "");
    }
}

#[test]
fn a_room_beside_a_loop_of_its_own_waits_for_a_descriptor() {
    for command in built("own_loop") {
        waits_for_a_descriptor(command, 5);
    }
}

#[test]
fn the_loop_goes_on_with_its_own_work_and_the_room_hears_of_it() {
    for command in built("own_loop") {
        let room = Room::open(command);
        let thermometer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        let measures = |reading: &[u8]| {
            let sent = thermometer.send_to(reading, (Ipv4Addr::LOCALHOST, room.port));
            assert_eq!(sent.expect("it is sent"), reading.len());
        };
        measures(b"19.5");
        room.program.until(|line| line == "It is 19.5 degrees.\n");
        let [one, two] = room.joins();
        measures(b"21");
        room.program.until(|line| line == "It is 21.0 degrees.\n");
        one.expect("It is 21.0 degrees.\n");
        two.expect("It is 21.0 degrees.\n");
        one.say("rather warm\n");
        two.expect("rather warm\n");
        let ended = room.end_by(SIGTERM);
        assert_eq!((ended.status.code(), ended.complaints.as_str()), (Some(0), ""));
    }
}

// ---- Moving a chatServer.c over ----

/// The blocks of code in a text, each with its language.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split("```").skip(1).step_by(2);
    parts.map(|part| part.split_once('\n').expect("a block has a language")).collect()
}

/// What examples/moving/README.md has its reader do, as one script. After each step the program
/// that came out of it is kept as chat-0, chat-1 and so on beside the folder it is made in.
fn moving_script(text: &str) -> (String, usize) {
    let mut script = String::from("set -e\ncc() { command cc -Wall -Wextra -Werror \"$@\"; }\n");
    let mut build = "";
    let blocks = blocks(text);
    for (step, (language, block)) in blocks.iter().enumerate() {
        match *language {
            "sh" => script += block,
            "diff" => {
                script += &format!("patch -F0 -s chatServer.c <<'END'\n{block}END\n{build}\n")
            }
            other => panic!("a block of {other}"),
        }
        build = block.lines().find(|line| line.starts_with("cc ")).unwrap_or(build);
        script += &format!("mv chat ../chat-{step}\n");
    }
    (script, blocks.len())
}

/// The program that there was at first, and those that came out of each step.
fn moved() -> Option<&'static [PathBuf]> {
    static MOVED: LazyLock<Option<Vec<PathBuf>>> = LazyLock::new(go_the_way);
    MOVED.as_deref()
}

/// Goes the way of examples/moving/README.md in a folder of its own, and answers the program that
/// there was at first and those that came out of each step.
fn go_the_way() -> Option<Vec<PathBuf>> {
    for tool in ["cc", "patch"] {
        if !is_installed(tool) {
            skip(&format!("no {tool}"));
            return None;
        }
    }
    make_library();
    let top = root().join("build/examples/top");
    let here = top.join("examples/moving");
    // What an earlier run has left; it need not be there.
    let _ = fs::remove_dir_all(&top);
    fs::create_dir_all(&here).expect("a folder");
    for name in ["build", "include"] {
        symlink(root().join(name), top.join(name)).expect("a link to what is used");
    }
    let original = root().join("examples/moving");
    fs::create_dir(here.join("before")).expect("a folder");
    for name in ["chatServer.c", "chatServer.h"] {
        let name = Path::new("before").join(name);
        fs::copy(original.join(&name), here.join(&name)).expect("it can be copied");
    }
    let text = fs::read_to_string(original.join("README.md")).expect("it is there");
    let (script, programs) = moving_script(&text);
    let output = Command::new("sh").args(["-c", &script]).current_dir(&here).output();
    let output = output.expect("sh can be run");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{script}");
    let result = fs::read_to_string(here.join("moved/chatServer.c")).expect("it is there");
    let after = fs::read_to_string(original.join("after/chatServer.c")).expect("it is there");
    assert_eq!(result, after, "the way does not lead to after/");
    Some((0..programs).map(|step| here.join(format!("chat-{step}"))).collect())
}

/// A chat server that prints a transcript, and what it has printed of its clients.
struct Transcribed {
    room: Room,
    text: String,
}

impl Transcribed {
    fn open(program: &Path) -> Self {
        let port = free_port();
        let mut command = under_runner(program);
        set_apart(&mut command, USUAL_LIMIT);
        let program = Program::start(command.arg(port.to_string()));
        program.until(|line| line.starts_with("MaxFd "));
        Self { room: Room { port, program }, text: String::new() }
    }

    /// Reads on to a line that begins like this.
    fn until(&mut self, start: &str) {
        let printed = self.room.program.until(|line| line.contains(start));
        self.keep(&printed);
    }

    /// How often select has returned, and with what maximum, is up to the moment.
    fn keep(&mut self, printed: &str) {
        let is_kept = |line: &&str| !line.starts_with("Waiting") && !line.starts_with("MaxFd");
        self.text.extend(printed.split_inclusive('\n').filter(is_kept));
    }

    fn join(&mut self) -> Client {
        let client = self.room.visitor();
        self.until("New incoming");
        client
    }

    fn says(&mut self, client: &Client, text: &str) {
        client.say(text);
        self.until("bytes received");
    }

    /// Ends it, and answers all that it has printed. A signal between the look at the flag and
    /// select is lost on such a program, so it may take more than one.
    fn end(mut self) -> String {
        loop {
            self.room.program.signal(SIGINT);
            match self.room.program.transcript.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => self.keep(&line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let ended = ended(self.room.program);
        assert_eq!((ended.status.code(), ended.complaints.as_str()), (Some(0), ""));
        self.text
    }
}

/// A chat in whole lines, to the byte, and what the server prints about it.
fn chat_in_lines(program: &Path) -> String {
    let mut server = Transcribed::open(program);
    let [one, two, three] = [server.join(), server.join(), server.join()];
    server.says(&one, "hello\n");
    two.expect("hello\n");
    three.expect("hello\n");
    server.says(&three, "two lines\nat a time\n");
    one.expect("two lines\nat a time\n");
    two.expect("two lines\nat a time\n");
    drop(two);
    server.until("removing connection");
    let four = server.join();
    server.says(&one, "welcome\n");
    three.expect("welcome\n");
    four.expect("welcome\n");
    server.says(&four, "thank you\n");
    one.expect("thank you\n");
    three.expect("thank you\n");
    let text = server.end();
    for client in [one, three, four] {
        client.expect_end();
    }
    text
}

/// What somebody hears of two who talk at a time, the one in the middle of the other's line.
fn heard_of_two(program: &Path) -> Vec<u8> {
    let mut server = Transcribed::open(program);
    let [one, two, listener] = [server.join(), server.join(), server.join()];
    server.says(&one, "half of ");
    server.says(&two, "a whole line\n");
    server.says(&one, "a line\n");
    let heard = listener.hear("half of a whole line\na line\n".len());
    server.end();
    heard
}

#[test]
fn the_same_chat_goes_through_before_and_after_and_every_step_between() {
    let Some(programs) = moved() else { return };
    assert_eq!(programs.len(), 5, "before, and four steps");
    let before = chat_in_lines(&programs[0]);
    assert_eq!(
        before,
        "New incoming connection on sd 4\nNew incoming connection on sd 5\n\
         New incoming connection on sd 6\n\
         Descriptor 4 is readable\n6 bytes received from sd 4\n\
         Descriptor 6 is readable\n20 bytes received from sd 6\n\
         Descriptor 5 is readable\nConnection closed for sd 5\nremoving connection with sd 5 \n\
         New incoming connection on sd 5\n\
         Descriptor 4 is readable\n8 bytes received from sd 4\n\
         Descriptor 5 is readable\n10 bytes received from sd 5\n\
         removing connection with sd 4 \nremoving connection with sd 6 \n\
         removing connection with sd 5 \n"
    );
    for (step, program) in programs.iter().enumerate().skip(1) {
        assert_eq!(chat_in_lines(program), before, "after step {step}");
    }
    for (step, program) in programs.iter().enumerate() {
        let wanted: &[u8] = match step {
            0..=2 => b"half of a whole line\na line\n",
            _ => b"a whole line\nhalf of a line\n",
        };
        assert_eq!(heard_of_two(program), wanted, "after step {step}");
    }
}

#[test]
fn after_the_first_step_nobody_keeps_the_others_from_chatting() {
    let Some(programs) = moved() else { return };
    for program in &programs[1..] {
        let mut server = Transcribed::open(program);
        let [talker, listener, stalled, leaves] =
            [server.join(), server.join(), server.join(), server.join()];
        let burst = burst();
        talker.say(&burst);
        leaves.reset();
        listener.expect(&burst);
        talker.say("still here\n");
        listener.expect("still here\n");
        drop(stalled);
        server.end();
    }
}
