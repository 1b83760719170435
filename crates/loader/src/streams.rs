//! What programs print, and what iterators give, as readers.

use bpfsys::cmd::{IterCreate, ProgStreamRead};
use bpfsys::uapi::enums::StreamId;
use bpfsys::{IterFd, LinkFd, ProgFd, SysError};
use std::io::{self, Read};

/// How often an iterator may ask to be read again before it has anything.
const RETRIES: u32 = 1 << 16;

/// What a program has printed to one of its streams. Since Linux 6.17.
///
/// Programs print with `bpf_stream_vprintk`; the kernel prints to the second stream when it stops
/// a program, as for a fault in an arena. Reading takes what is there, and says "end" (0 bytes)
/// when there is nothing now; a later read may have more. Nothing tells when there is: no
/// descriptor can be waited for.
///
/// ```no_run
/// use loader::streams::ProgStream;
/// # fn example(prog: &bpfsys::ProgFd) -> std::io::Result<()> {
/// std::io::copy(&mut ProgStream::stderr(prog), &mut std::io::stderr())?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "BPF_PROG_STREAM_READ_BY_FD")]
#[derive(Clone, Copy, Debug)]
pub struct ProgStream<'p> {
    prog: &'p ProgFd,
    stream: StreamId,
}

impl<'p> ProgStream<'p> {
    /// A stream by its number.
    #[must_use]
    pub fn new(prog: &'p ProgFd, stream: StreamId) -> Self {
        Self { prog, stream }
    }

    /// What the program prints.
    #[must_use]
    pub fn stdout(prog: &'p ProgFd) -> Self {
        Self::new(prog, StreamId::STDOUT)
    }

    /// What the program prints of errors, and what the kernel prints about it.
    #[must_use]
    pub fn stderr(prog: &'p ProgFd) -> Self {
        Self::new(prog, StreamId::STDERR)
    }

    /// Takes what is there; the kernel's error as it is.
    ///
    /// # Errors
    /// `ENOENT` for a stream that does not exist, `EINVAL` on kernels without streams.
    pub fn take_text(&self, buffer: &mut [u8]) -> Result<usize, SysError> {
        ProgStreamRead::new(self.prog, self.stream).run(buffer)
    }
}

impl Read for ProgStream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.take_text(buffer).map_err(to_io)
    }
}

/// One walk of an iterator.
///
/// ```no_run
/// use loader::streams::IterReader;
/// # fn example(link: &bpfsys::LinkFd) -> Result<(), Box<dyn std::error::Error>> {
/// let text = std::io::read_to_string(IterReader::new(link)?)?;
/// # drop(text);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "BPF_ITER_CREATE")]
#[derive(Debug)]
pub struct IterReader(IterFd);

impl IterReader {
    /// Starts a walk over what the link iterates over.
    ///
    /// # Errors
    /// `EINVAL` when the link is no iterator.
    pub fn new(link: &LinkFd) -> Result<Self, SysError> {
        IterCreate::new(link).run().map(Self)
    }

    /// The descriptor, to be read by others.
    #[must_use]
    pub fn into_fd(self) -> IterFd {
        self.0
    }
}

impl From<IterFd> for IterReader {
    fn from(iter: IterFd) -> Self {
        Self(iter)
    }
}

impl Read for IterReader {
    /// After a million objects without a word from the program the kernel asks to read again
    /// (`EAGAIN`), which is done here.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut tries = 0;
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && tries < RETRIES => {
                    tries += 1;
                }
                result => return result,
            }
        }
    }
}

fn to_io(error: SysError) -> io::Error {
    match error.raw_os_error() {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => io::Error::other(error),
    }
}
