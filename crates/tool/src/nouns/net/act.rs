//! What can be done with programs on the network: attach, detach.

use std::os::fd::AsFd;

use bpfsys::cmd::{ProgAttach, ProgDetach, Target};
use bpfsys::{AttachType, ProgFd};
use loader::netlink::{Filter, NetlinkError, NewFilter, Route, TcHandle, XdpExpect, XdpMode};
use nix::errno::Errno;

use super::args::{Hook, How, device, hook};
use crate::command::Context;
use crate::failure::{EINVAL_STATUS, Failure, Result, errno_status};
use crate::handle::ProgHandle;
use crate::words::Words;

/// `net attach ATTACH_TYPE PROG dev NAME [HOW]`
pub(super) fn attach(context: &mut Context<'_, '_>, words: Words<'_>) -> Result<()> {
    let wrong = |failure: Failure| failure.with_status(EINVAL_STATUS);
    let order = Order::parse(words).map_err(wrong)?;
    let failed = format!("interface {} attach failed", order.name);
    match order.hook {
        Hook::Xdp(mode) => {
            let old = order.how.replace.as_ref().map(ProgHandle::open_one);
            let old = old.transpose().map_err(wrong)?;
            let expect = match &old {
                Some(old) => XdpExpect::Prog(old.as_fd()),
                None if order.how.overwrite => XdpExpect::Anything,
                None => XdpExpect::Nothing,
            };
            set_xdp(order.device, mode, Some(&order.prog), expect, &failed)?;
        }
        Hook::List(attach_type) => {
            attach_listed(order.device, attach_type, &order.prog, &order.how, &failed)?;
        }
        Hook::Filter(parent) => order.filter(parent, &failed)?,
    }
    context.output.done()
}

/// What `net attach` was asked for.
struct Order {
    name: &'static str,
    hook: Hook,
    prog: ProgFd,
    device: u32,
    how: How,
}

impl Order {
    fn parse(mut words: Words<'_>) -> Result<Self> {
        words.require(5)?;
        let (name, hook) = hook(&mut words)?;
        let prog = ProgHandle::parse(&mut words)?.open_one()?;
        let device = device(&mut words)?;
        let how = How::parse(&mut words, hook)?;
        Ok(Self {
            name,
            hook,
            prog,
            device,
            how,
        })
    }

    fn filter(&self, parent: TcHandle, failed: &str) -> Result<()> {
        let info = self.prog.info();
        let info = info.map_err(|error| Failure::because(failed, error))?;
        // as libbpf names them, by which they are known
        let name = [info.name(), format!(":[{}]", info.id).as_bytes()].concat();
        let attach = || -> std::result::Result<(), NetlinkError> {
            let mut route = Route::open()?;
            match route.add_clsact(self.device) {
                // it is there
                Err(error) if error.is(Errno::EEXIST) => {}
                other => other?,
            }
            route.add_filter(&NewFilter {
                ifindex: self.device,
                parent,
                prog: self.prog.as_fd(),
                name: &name,
                handle: self.how.handle.unwrap_or_default(),
                priority: self.how.priority.unwrap_or_default(),
                replace: false,
                direct_action: true,
            })?;
            Ok(())
        };
        attach().map_err(|error| netlink_failed(failed, error))
    }
}

/// Attaches an XDP program where there is none.
pub(crate) fn attach_xdp(
    device: u32,
    mode: Option<XdpMode>,
    prog: &ProgFd,
    failed: &str,
) -> Result<()> {
    set_xdp(device, mode, Some(prog), XdpExpect::Nothing, failed)
}

/// Takes an XDP program away; with `prog`, only that one.
pub(crate) fn detach_xdp(
    device: u32,
    mode: Option<XdpMode>,
    prog: Option<&ProgFd>,
    failed: &str,
) -> Result<()> {
    let expect = match prog {
        Some(prog) => XdpExpect::Prog(prog.as_fd()),
        None => XdpExpect::Anything,
    };
    set_xdp(device, mode, None, expect, failed)
}

fn set_xdp(
    device: u32,
    mode: Option<XdpMode>,
    prog: Option<&ProgFd>,
    expect: XdpExpect<'_>,
    failed: &str,
) -> Result<()> {
    Route::open()
        .and_then(|mut route| route.set_xdp(device, prog.map(ProgFd::as_fd), mode, expect))
        .map_err(|error| netlink_failed(failed, error))
}

/// Attaches a program to a hook with an ordered list.
pub(crate) fn attach_listed(
    device: u32,
    attach_type: AttachType,
    prog: &ProgFd,
    how: &How,
    failed: &str,
) -> Result<()> {
    let wrong = |failure: Failure| failure.with_status(EINVAL_STATUS);
    let mut command = ProgAttach::new(Target::Ifindex(device), prog, attach_type)
        .expected_revision(how.revision.unwrap_or_default());
    let old = how.replace.as_ref().map(ProgHandle::open_one).transpose();
    let old = old.map_err(wrong)?;
    if let Some(old) = &old {
        command = command.replace(old);
    }
    let relative = how.relative().map_err(wrong)?;
    if let Some(anchor) = how.anchor(relative.as_ref()) {
        command = command.anchor(anchor);
    }
    command.run().map_err(|error| {
        let status = errno_status(&error);
        Failure::because(failed, error).with_status(status)
    })
}

/// `net detach ATTACH_TYPE dev NAME [PROG]`
pub(super) fn detach(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let mut parse = || -> Result<_> {
        words.require(3)?;
        let (name, hook) = hook(&mut words)?;
        let device = device(&mut words)?;
        let prog = (!words.is_empty()).then(|| ProgHandle::parse(&mut words)?.open_one());
        let prog = prog.transpose()?;
        words.end()?;
        Ok((name, hook, device, prog))
    };
    let (name, hook, device, prog) =
        parse().map_err(|failure| failure.with_status(EINVAL_STATUS))?;
    let failed = format!("interface {name} detach failed");
    match hook {
        Hook::Xdp(mode) => detach_xdp(device, mode, prog.as_ref(), &failed)?,
        Hook::List(attach_type) => {
            let mut command = ProgDetach::new(Target::Ifindex(device), attach_type);
            if let Some(prog) = &prog {
                command = command.prog(prog);
            }
            command.run().map_err(|error| {
                let status = errno_status(&error);
                Failure::because(&failed, error).with_status(status)
            })?;
        }
        Hook::Filter(parent) => {
            let found = Route::open()
                .and_then(|mut route| Ok((route.filters(device, parent)?, route)))
                .map_err(|error| netlink_failed(&failed, error))?;
            let (filters, mut route) = found;
            let id = prog.map(|prog| prog.info()).transpose();
            let id = id.map_err(|error| Failure::because(&failed, error))?;
            let one = only_one(filters, id.and_then(|info| info.id()))
                .map_err(|why| Failure::new(format_args!("{failed}: {why}")))?;
            route
                .remove_filter(device, parent, one.handle, one.priority)
                .map_err(|error| netlink_failed(&failed, error))?;
        }
    }
    context.output.done()
}

/// The one filter that is a program, or that is this program.
fn only_one(
    filters: Vec<Filter>,
    wanted: Option<bpfsys::ProgId>,
) -> std::result::Result<Filter, &'static str> {
    let mut fitting = filters.into_iter().filter(|filter| match &filter.bpf {
        Some(bpf) => wanted.is_none() || bpf.prog_id == wanted,
        None => false,
    });
    match (fitting.next(), fitting.next()) {
        (Some(filter), None) => Ok(filter),
        (None, _) if wanted.is_some() => Err("the program is not there"),
        (None, _) => Err("there is no program"),
        (Some(_), Some(_)) if wanted.is_some() => Err("the program is there several times"),
        (Some(_), Some(_)) => Err("there are several programs: say which"),
    }
}

/// What netlink answered, with the status of its number.
fn netlink_failed(what: &str, error: NetlinkError) -> Failure {
    let status = error.sys().as_ref().map_or(EINVAL_STATUS, errno_status);
    let failure = match error {
        // which socket it was adds nothing
        NetlinkError::Refused(error) => Failure::because(what, error),
        error => Failure::because(what, error),
    };
    failure.with_status(status)
}
