//! `prog attach` and `prog detach`: every attach type, with what it attaches to.

use std::path::Path;

use bpfsys::cmd::{ProgAttach, ProgDetach, Target};
use bpfsys::{AttachType, ProgFd};

use super::args::attach_type;
use crate::command::Context;
use crate::failure::{EINVAL_STATUS, Failure, Result};
use crate::handle::ProgHandle;
use crate::nouns::place::{self, Place};
use crate::nouns::{cgroup, net};
use crate::pins;
use crate::words::Words;

/// `prog attach PROG ATTACH_TYPE [link FILE] [TARGET]`
pub(super) fn attach(context: &mut Context<'_, '_>, words: Words<'_>) -> Result<()> {
    let order = Order::parse(words, true)?;
    match order.link {
        Some(path) => order.by_link(path)?,
        None => order.attach()?,
    }
    context.output.done()
}

/// `prog detach PROG ATTACH_TYPE [TARGET]`
pub(super) fn detach(context: &mut Context<'_, '_>, words: Words<'_>) -> Result<()> {
    Order::parse(words, false)?.detach()?;
    context.output.done()
}

/// What is asked for.
struct Order<'w> {
    prog: ProgFd,
    attach_type: AttachType,
    /// Where a link is to be pinned.
    link: Option<&'w Path>,
    place: Place,
}

impl<'w> Order<'w> {
    fn parse(mut words: Words<'w>, attaching: bool) -> Result<Self> {
        let wrong = |failure: Failure| failure.with_status(EINVAL_STATUS);
        words.require(3).map_err(wrong)?;
        let handle = ProgHandle::parse(&mut words)?;
        let attach_type = attach_type(&mut words)?;
        let link = (attaching && words.accept("link")).then(|| words.take_path("a path"));
        let link = link.transpose()?;
        let place = Place::parse(&mut words, attach_type).map_err(wrong)?;
        words.end()?;
        Ok(Self {
            prog: handle.open_one()?,
            attach_type,
            link,
            place,
        })
    }

    /// Attaches so that it stays without a link.
    fn attach(&self) -> Result<()> {
        let command = |target| ProgAttach::new(target, &self.prog, self.attach_type);
        let failed =
            |error| Failure::because("failed prog attach", error).with_status(EINVAL_STATUS);
        match &self.place {
            Place::Map(map) => command(map.into()).run().map_err(failed),
            Place::Lirc(device) => command(device.into()).run().map_err(failed),
            Place::Netns(None) if self.attach_type == AttachType::FLOW_DISSECTOR => {
                command(Target::Current).run().map_err(failed)
            }
            Place::Cgroup(cgroup, how) => {
                cgroup::act::attach_to(cgroup, self.attach_type, &self.prog, how)
            }
            Place::List(device, how) => net::act::attach_listed(
                *device,
                self.attach_type,
                &self.prog,
                how,
                "failed prog attach",
            ),
            Place::Xdp(device, mode) => {
                net::act::attach_xdp(*device, *mode, &self.prog, "failed prog attach")
            }
            Place::Netns(_) | Place::Netfilter(_) | Place::AsLoaded => {
                Err(self.only_by_link("attaches"))
            }
        }
    }

    fn detach(&self) -> Result<()> {
        let command = |target| {
            ProgDetach::new(target, self.attach_type)
                .prog(&self.prog)
                .run()
        };
        let detached = match &self.place {
            Place::Map(map) => command(map.into()),
            Place::Lirc(device) => command(device.into()),
            Place::Netns(None) if self.attach_type == AttachType::FLOW_DISSECTOR => {
                command(Target::Current)
            }
            Place::Cgroup(cgroup, _) => command(cgroup.into()),
            Place::List(device, _) => command(Target::Ifindex(*device)),
            Place::Xdp(device, mode) => {
                return net::act::detach_xdp(
                    *device,
                    *mode,
                    Some(&self.prog),
                    "failed prog detach",
                );
            }
            Place::Netns(_) | Place::Netfilter(_) | Place::AsLoaded => {
                return Err(self.only_by_link("detaches"));
            }
        };
        detached.map_err(|error| {
            Failure::because("failed prog detach", error).with_status(EINVAL_STATUS)
        })
    }

    fn only_by_link(&self, does: &str) -> Failure {
        let failure = Failure::new(format_args!("{} {does} by a link only", self.attach_type))
            .with_status(EINVAL_STATUS);
        if does == "attaches" {
            failure.with_hint("`link FILE` behind the attach type makes one and pins it there")
        } else {
            failure.with_hint("`rbpftool link detach` does it, or removing the link's pin")
        }
    }

    /// Attaches by a link that is pinned.
    fn by_link(&self, path: &Path) -> Result<()> {
        let failed = "failed prog attach";
        pins::check(path)?;
        let link = self.place.link(self.attach_type, &self.prog, failed)?;
        place::pin(link, path, failed)
    }
}
