//! BTF objects of the kernel, as views.

use std::collections::HashMap;
use std::fmt::Display;

use bpfsys::uapi::flags::MapFlags;
use bpfsys::{BtfFd, BtfId, ErrorKind, MapFd, ProgFd, SysError};

use super::view::BtfView;
use crate::failure::{Failure, Result};
use crate::holders::Holders;
use crate::kernel::{Kernel, ObjectKind};
use crate::render::escape::Text;

/// Gathers BTF objects; who uses them is looked up once.
#[derive(Debug)]
pub struct Gatherer {
    progs: Users,
    maps: Users,
    holders: Holders,
}

/// Ids of the objects that were made with each BTF object, ascending.
type Users = HashMap<u32, Vec<u32>>;

impl Gatherer {
    /// Looks at all programs, maps and processes.
    pub fn new(kernel: &Kernel) -> Result<Self> {
        let mut progs = Users::new();
        for id in bpfsys::prog_ids() {
            let id = id.map_err(|error| Failure::because("can't get next prog", error))?;
            if let Some(prog) = unless_gone(ProgFd::by_id(id), "prog", id)? {
                let info = prog
                    .info()
                    .map_err(|error| Failure::because("can't get prog info", error))?;
                add(&mut progs, info.btf_id, id.get());
            }
        }
        let mut maps = Users::new();
        for id in bpfsys::map_ids() {
            let id = id.map_err(|error| Failure::because("can't get next map", error))?;
            if let Some(map) = unless_gone(MapFd::by_id(id, MapFlags::RDONLY), "map", id)? {
                let info = map
                    .info()
                    .map_err(|error| Failure::because("can't get map info", error))?;
                add(&mut maps, info.btf_id, id.get());
            }
        }
        Ok(Self {
            progs,
            maps,
            holders: Holders::gather(kernel, ObjectKind::Btf),
        })
    }

    /// Everything that is said about one object.
    pub fn btf(&self, btf: &BtfFd) -> Result<BtfView> {
        let details = btf
            .info()
            .map_err(|error| Failure::because("can't get BTF object info", error))?;
        let id = details.info.id;
        let users = |users: &Users| users.get(&id).cloned().unwrap_or_default();
        Ok(BtfView {
            id,
            size: details.info.btf_size,
            prog_ids: users(&self.progs),
            map_ids: users(&self.maps),
            pids: self.holders.of(id).to_vec(),
            kernel: details.info.kernel_btf != 0,
            name: Some(Text(details.name)).filter(|name| !name.0.is_empty()),
        })
    }

    /// Every object of the kernel.
    pub fn all(&self) -> Result<Vec<BtfView>> {
        let mut views = Vec::new();
        for id in bpfsys::btf_ids() {
            let id: BtfId =
                id.map_err(|error| Failure::because("can't get next BTF object", error))?;
            if let Some(btf) = unless_gone(BtfFd::by_id(id), "BTF object", id)? {
                views.push(self.btf(&btf)?);
            }
        }
        Ok(views)
    }
}

/// `None` for an object that is gone since it was listed.
fn unless_gone<T>(
    opened: std::result::Result<T, SysError>,
    what: &str,
    id: impl Display,
) -> Result<Option<T>> {
    match opened {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::because(
            format_args!("can't get {what} by id ({id})"),
            error,
        )),
    }
}

fn add(users: &mut Users, btf: u32, user: u32) {
    if btf != 0 {
        // the kernel lists objects by ascending id
        users.entry(btf).or_default().push(user);
    }
}
