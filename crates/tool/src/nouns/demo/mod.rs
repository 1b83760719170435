//! `demo`: an object loaded, attached, run, looked at with the commands of this tool, and removed.
//!
//! Descriptors of this process are all that keeps it: nothing is pinned or mounted, so nothing
//! remains however the process ends.

use std::ffi::OsString;
use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use bpfsys::uapi::flags::MapFlags;
use bpfsys::{LinkFd, LinkId, MapFd, MapId, ProgFd, ProgId, SysError};
use loader::attach::{self, Link};
use loader::kernel::Loaded;
use loader::model::{Object, ParseOptions};
use loader::streams::IterReader;
use nix::errno::Errno;

use super::batch;
use super::prog::load;
use super::prog::load::args::{Edits, Log};
use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::kernel::ObjectKind;
use crate::words::Words;

/// What `tests/fixtures/bpf/demo.bpf.c` is compiled to; the suite `fixtures` compares them.
static OBJECT: &[u8] = include_bytes!("demo.bpf.o");
const PROGRAM: &str = "add_up_tasks";
const MAP: &str = "tasks_by_policy";

/// How long the kernel may take to remove what nobody refers to.
const PATIENCE: Duration = Duration::from_secs(10);

/// `demo`
pub fn run(context: &mut Context<'_, '_>, words: Words<'_>) -> Result<()> {
    words.end()?;
    let object = Object::parse(OBJECT, &ParseOptions::named("demo"))
        .map_err(|error| Failure::because("can't read the object of the demo", error))?;
    let loaded = load::load(context, &object, &Edits::default(), &Log::default())?;
    let link = attach(&loaded)?;
    let ids = Ids::of(&loaded, &link)?;
    walk(&link)?;
    if context.output.is_json() {
        as_json(context, &ids)?;
    } else {
        as_text(context, &ids)?;
    }
    drop(link);
    drop(loaded);
    ids.wait_until_gone()?;
    say(
        context,
        format_args!(
            "\nDetached and unloaded: program {}, map {} and link {} are gone.",
            ids.prog, ids.map, ids.link
        ),
    )
}

fn missing(what: &str) -> Failure {
    Failure::new(format_args!("the object of the demo has no {what}"))
}

/// Attaches the program to what its section says.
fn attach(loaded: &Loaded) -> Result<Link> {
    let program = loaded.program(PROGRAM).ok_or_else(|| missing(PROGRAM))?;
    attach::auto(program)
        .map_err(|error| Failure::because("can't attach the program", error))?
        .ok_or_else(|| missing("program that attaches"))
}

fn fd(link: &Link) -> Result<&LinkFd> {
    link.fd().ok_or_else(|| missing("program with a link"))
}

/// Reads the iterator: the program runs once for each task. It writes nothing.
fn walk(link: &Link) -> Result<()> {
    let mut reader = IterReader::new(fd(link)?)
        .map_err(|error| Failure::because("can't start the iterator", error))?;
    match io::copy(&mut reader, &mut io::sink()) {
        Ok(_bytes) => Ok(()),
        Err(error) => Err(Failure::because("can't read the iterator", error)),
    }
}

/// What the kernel calls the objects.
#[derive(Debug, Clone, Copy)]
struct Ids {
    prog: ProgId,
    map: MapId,
    link: LinkId,
}

impl Ids {
    fn of(loaded: &Loaded, link: &Link) -> Result<Self> {
        let fail = |error: SysError| Failure::because("can't ask about the objects", error);
        let prog = loaded.program(PROGRAM).and_then(|program| program.fd());
        let prog = prog.ok_or_else(|| missing(PROGRAM))?.info().map_err(fail)?;
        let map = loaded.map(MAP).and_then(|map| map.fd());
        let map = map.ok_or_else(|| missing(MAP))?.info().map_err(fail)?;
        let link = fd(link)?.info().map_err(fail)?;
        let unnumbered = || missing("number in the kernel");
        Ok(Self {
            prog: prog.id().ok_or_else(unnumbered)?,
            map: map.id().ok_or_else(unnumbered)?,
            link: link.id,
        })
    }

    /// The kernel removes objects some time after their last descriptor is closed.
    fn wait_until_gone(self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        for kind in [ObjectKind::Link, ObjectKind::Prog, ObjectKind::Map] {
            while self.is_there(kind)? {
                if Instant::now() > end {
                    return Err(Failure::new(format_args!(
                        "the {} of the demo is still there",
                        kind.name()
                    ))
                    .with_hint("another process may have opened it meanwhile"));
                }
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    fn is_there(self, kind: ObjectKind) -> Result<bool> {
        let opened = match kind {
            ObjectKind::Prog => ProgFd::by_id(self.prog).map(drop),
            ObjectKind::Map => MapFd::by_id(self.map, MapFlags::RDONLY).map(drop),
            _ => LinkFd::by_id(self.link).map(drop),
        };
        match opened {
            Ok(()) => Ok(true),
            Err(error) if error.is(Errno::ENOENT) => Ok(false),
            // A link whose last descriptor is being closed.
            Err(error) if error.is(Errno::EAGAIN) => Ok(true),
            Err(error) => Err(Failure::because("can't see whether all is gone", error)),
        }
    }

    /// The commands that show the objects, by what they are in JSON.
    fn commands(self) -> [(&'static str, String); 4] {
        let Self { prog, map, link } = self;
        [
            ("prog", format!("prog show id {prog}")),
            ("link", format!("link show id {link}")),
            ("map", format!("map show id {map}")),
            ("elements", format!("map dump id {map}")),
        ]
    }
}

/// What a person reads before the answer to each command.
fn explained(key: &str) -> &'static str {
    match key {
        "prog" => {
            "A BPF program is in the kernel now. It came with this tool, was fitted to the types of\n\
             this kernel, and adds up the tasks of the machine."
        }
        "link" => "It is attached as an iterator over all tasks, which a link keeps:",
        "map" => "It has run once for each task, and has left the sums in this map:",
        _ => "Keys and values have types, so that they can be read:",
    }
}

fn as_text(context: &mut Context<'_, '_>, ids: &Ids) -> Result<()> {
    for (key, command) in ids.commands() {
        let end = if key == "prog" { "" } else { "\n" };
        say(context, format_args!("{end}{}", explained(key)))?;
        say(context, format_args!("\n$ rbpftool {command}"))?;
        crate::dispatch(context, Words::new(&split(&command)))?;
        // each answer is to be seen while what it is about is there
        context.output.flush()?;
    }
    Ok(())
}

/// One object with the answers of the commands.
fn as_json(context: &mut Context<'_, '_>, ids: &Ids) -> Result<()> {
    context.output.json().begin_object()?;
    let mut result = Ok(());
    for (key, command) in ids.commands() {
        context.output.json().key(key)?;
        result = batch::answer(context, &split(&command));
        if result.is_err() {
            break;
        }
        context.output.flush()?;
    }
    context.output.json().end_object()?;
    result
}

fn split(command: &str) -> Vec<OsString> {
    command.split(' ').map(OsString::from).collect()
}

/// Writes a line of text; nothing in JSON.
fn say(context: &mut Context<'_, '_>, line: impl std::fmt::Display) -> Result<()> {
    if !context.output.is_json() {
        writeln!(context.output.text(), "{line}")?;
    }
    Ok(())
}
