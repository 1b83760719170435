//! What can be done with a program: pin, run.

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use bpfsys::cmd::ProgTestRun;

use super::args::{RunArgs, is_dash};
use super::view::RunView;
use crate::command::Context;
use crate::failure::{EINVAL_STATUS, Failure, Result, errno_status};
use crate::handle::ProgHandle;
use crate::pins;
use crate::render::escape::Escaped;
use crate::words::Words;

/// The same for results that do not fit: -ENOSPC.
const ENOSPC_STATUS: u8 = 228;
/// bpftool's room for what a run gives back, in bytes.
const RUN_ROOM: u32 = 32 * 1024;
/// The longest input of a run the kernel can be told of.
const INPUT_MAX: u64 = u32::MAX as u64;

/// `prog pin PROG FILE`
pub(super) fn pin(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words
        .require(3)
        .map_err(|failure| failure.with_status(EINVAL_STATUS))?;
    let handle = ProgHandle::parse(&mut words)?;
    let path = words.take_path("a path")?;
    words.end()?;
    pins::pin(&handle.open_one()?, path)?;
    context.output.done()
}

/// `prog run PROG data_in FILE …`
pub(super) fn run(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words.require(4)?;
    let handle = ProgHandle::parse(&mut words)?;
    let args = RunArgs::parse(&mut words)?;
    let prog = handle.open_one()?;
    let data_in = args.data_in.map(read_input).transpose()?;
    let ctx_in = args.ctx_in.map(read_input).transpose()?;
    let repeat = args.repeat.unwrap_or(1);

    let mut command = ProgTestRun::new(&prog).repeat(repeat);
    if let Some(data) = &data_in {
        let room = args.data_size_out.unwrap_or(RUN_ROOM);
        command = command.data_in(data).data_out_len(to_len(room));
    }
    if let Some(ctx) = &ctx_in {
        let room = args.ctx_size_out.unwrap_or(RUN_ROOM);
        command = command.ctx_in(ctx).ctx_out_len(to_len(room));
    }
    let run = command.run().map_err(|error| {
        let status = errno_status(&error);
        Failure::because("failed to run program", error).with_status(status)
    })?;
    if run.truncated {
        return Err(Failure::new(format_args!(
            "the program ran, but what it left is larger than the room for it: \
             {} bytes of data, {} bytes of context",
            run.data_size, run.ctx_size
        ))
        .with_status(ENOSPC_STATUS)
        .with_hint("give more with data_size_out or ctx_size_out"));
    }

    let view = RunView {
        data_out: deliver(args.data_out, data_in.is_some(), run.data_out)?,
        ctx_out: deliver(args.ctx_out, ctx_in.is_some(), run.ctx_out)?,
        retval: run.retval,
        duration: run.duration_ns,
        average: repeat > 1,
    };
    context.output.show(&view)
}

fn to_len(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn read_input(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = INPUT_MAX + 1;
    let read = if is_dash(Some(path)) {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.map_err(|error| {
        let path = Escaped(path.as_os_str().as_bytes());
        Failure::because(format_args!("failed to read {path}"), error)
    })?;
    if bytes.len() as u64 > INPUT_MAX {
        return Err(Failure::new(format_args!(
            "data_in/ctx_in is too long (max: {INPUT_MAX})"
        )));
    }
    Ok(bytes)
}

/// Sends bytes to the file they are meant for, or back for the view when that is `-`.
fn deliver(path: Option<&Path>, given: bool, bytes: Vec<u8>) -> Result<Option<Vec<u8>>> {
    let Some(path) = path else {
        return Ok(None);
    };
    if !given {
        return Ok(is_dash(Some(path)).then(Vec::new));
    }
    if is_dash(Some(path)) {
        return Ok(Some(bytes));
    }
    write_file(path, &bytes, 0o666)?;
    Ok(None)
}

/// Writes a file anew.
pub(crate) fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    use std::io::Write;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|error| {
            let path = Escaped(path.as_os_str().as_bytes());
            Failure::because(format_args!("can't write file {path}"), error)
        })
}
