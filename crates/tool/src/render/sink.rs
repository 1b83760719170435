//! One large buffer in front of the output, with the writes that dumps need to be fast.

use std::io::{self, Write};

/// When this much is buffered it is written out.
const LIMIT: usize = 64 * 1024;

/// A buffered writer; unlike `BufWriter` it exposes its buffer to formatters that fill it in
/// place.
pub struct Sink<'w> {
    buffer: Vec<u8>,
    inner: Box<dyn Write + 'w>,
}

impl std::fmt::Debug for Sink<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink")
            .field("buffered", &self.buffer.len())
            .finish_non_exhaustive()
    }
}

impl<'w> Sink<'w> {
    /// A buffer in front of `inner`.
    pub fn new(inner: impl Write + 'w) -> Self {
        Self {
            buffer: Vec::new(),
            inner: Box::new(inner),
        }
    }

    /// The buffer, to be appended to; call [`Sink::settle`] now and then.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes the buffer out when it has grown past its limit.
    pub fn settle(&mut self) -> io::Result<()> {
        if self.buffer.len() >= LIMIT {
            self.write_out()?;
        }
        Ok(())
    }

    /// Writes `chunk` after what is buffered, without copying it when it is large.
    pub fn pass(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.write_out()?;
        self.inner.write_all(chunk)
    }

    fn write_out(&mut self) -> io::Result<()> {
        let result = self.inner.write_all(&self.buffer);
        // After a failure nothing more can be said; keeping the bytes would only repeat it.
        self.buffer.clear();
        result
    }
}

impl Write for Sink<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        self.settle()?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes).map(drop)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_out()?;
        self.inner.flush()
    }
}
