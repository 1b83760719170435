//! Reads a ring buffer in an event loop of its own, together with something else: standard input,
//! whose end ends the program.
//!
//! ```text
//! ringbuf_epoll PINNED
//! ```
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the command line"
)]

use bpfsys::AnyFd;
use bpfsys::cmd::ObjGet;
use loader::maps::RingBuffer;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::error::Error;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: ringbuf_epoll PINNED");
        return ExitCode::from(2);
    };
    match run(path.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

const RECORDS: u64 = 0;
const INPUT: u64 = 1;

fn run(path: &Path) -> Result<(), Box<dyn Error>> {
    let AnyFd::Map(map) = ObjGet::new(path).run()? else {
        return Err("no map is pinned there".into());
    };
    let mut ring = RingBuffer::new(&map)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    // Edges will do: a buffer that was consumed to its end tells of the next record.
    let edges = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
    epoll.add(&ring, EpollEvent::new(edges, RECORDS))?;
    epoll.add(
        std::io::stdin(),
        EpollEvent::new(EpollFlags::EPOLLIN, INPUT),
    )?;
    let mut bytes = Vec::new();
    let mut events = [EpollEvent::empty(); 2];
    loop {
        let count = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in events.iter().take(count) {
            match event.data() {
                RECORDS => {
                    let consumed = ring.consume(|record| {
                        println!("{:02x?}", record.copy_to(&mut bytes));
                    })?;
                    println!("{consumed} records");
                }
                _ => {
                    if std::io::stdin().read(&mut [0; 64])? == 0 {
                        return Ok(());
                    }
                }
            }
        }
    }
}
