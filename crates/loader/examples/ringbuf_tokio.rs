//! Reads a ring buffer as a task of tokio.
//!
//! ```text
//! ringbuf_tokio PINNED COUNT
//! ```
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the command line"
)]

use bpfsys::AnyFd;
use bpfsys::cmd::ObjGet;
use loader::maps::RingBuffer;
use std::error::Error;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;
use std::process::ExitCode;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let (path, count) = match args.as_slice() {
        [path, count] => (path, count.to_str().and_then(|count| count.parse().ok())),
        _ => {
            eprintln!("usage: ringbuf_tokio PINNED COUNT");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(path.as_ref(), count.unwrap_or(usize::MAX))),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A ring buffer with a descriptor that has a number, as tokio wants it.
struct Ring(RingBuffer);

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

async fn run(path: &Path, count: usize) -> Result<(), Box<dyn Error>> {
    let AnyFd::Map(map) = ObjGet::new(path).run()? else {
        return Err("no map is pinned there".into());
    };
    let ring = Ring(RingBuffer::new(&map)?);
    // What newer versions have instead leaves it to the caller that the number stays the
    // descriptor's; here the ring sees to it.
    #[allow(deprecated, reason = "the successor cannot be called in safe code")]
    let mut ring = AsyncFd::with_interest(ring, Interest::READABLE)?;
    let mut seen = 0;
    while seen < count {
        let mut ready = ring.readable_mut().await?;
        let mut bytes = Vec::new();
        // To the end, since tokio waits for edges: then the next record is told of.
        seen += ready.get_inner_mut().0.consume(|record| {
            println!("{:02x?}", record.copy_to(&mut bytes));
        })?;
        ready.clear_ready();
    }
    Ok(())
}
