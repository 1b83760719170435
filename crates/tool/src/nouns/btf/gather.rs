//! BTF objects of the kernel, as views.

use std::collections::HashMap;

use bpfsys::BtfFd;
use bpfsys::uapi::flags::MapFlags;

use super::view::BtfView;
use crate::failure::{Failure, Result};
use crate::kernel::{Kernel, ObjectKind};
use crate::render::escape::Text;
use crate::surroundings::Surroundings;

/// Everything that is said about these objects.
pub fn gather(
    kernel: &Kernel,
    objects: impl IntoIterator<Item = Result<BtfFd>>,
) -> Result<Vec<BtfView>> {
    let (around, views) = Surroundings::gather(kernel, ObjectKind::Btf, false, || {
        let users = Users::find()?;
        let views = objects.into_iter().map(|btf| users.view(&btf?));
        views.collect::<Result<Vec<_>>>()
    });
    let mut views = views?;
    for view in &mut views {
        view.pids = around.holders(view.id);
    }
    Ok(views)
}

/// Every BTF object of the kernel.
pub fn all() -> impl Iterator<Item = Result<BtfFd>> {
    bpfsys::btfs()
        .map(|btf| btf.map_err(|error| Failure::because("can't get next BTF object", error)))
}

/// Ids of the objects that were made with each BTF object, in the kernel's order, which is
/// ascending.
#[derive(Debug, Default)]
struct Users {
    progs: HashMap<u32, Vec<u32>>,
    maps: HashMap<u32, Vec<u32>>,
}

impl Users {
    /// Looks at all programs and maps.
    fn find() -> Result<Self> {
        let mut users = Self::default();
        for prog in bpfsys::progs() {
            let prog = prog.map_err(|error| Failure::because("can't get next prog", error))?;
            let info = prog
                .info()
                .map_err(|error| Failure::because("can't get prog info", error))?;
            users.progs.entry(info.btf_id).or_default().push(info.id);
        }
        for map in bpfsys::maps(MapFlags::RDONLY) {
            let map = map.map_err(|error| Failure::because("can't get next map", error))?;
            let info = map
                .info()
                .map_err(|error| Failure::because("can't get map info", error))?;
            users.maps.entry(info.btf_id).or_default().push(info.id);
        }
        Ok(users)
    }

    fn view(&self, btf: &BtfFd) -> Result<BtfView> {
        let details = btf
            .info()
            .map_err(|error| Failure::because("can't get BTF object info", error))?;
        let id = details.info.id;
        let users = |users: &HashMap<_, Vec<_>>| users.get(&id).cloned().unwrap_or_default();
        Ok(BtfView {
            id,
            size: details.info.btf_size,
            prog_ids: users(&self.progs),
            map_ids: users(&self.maps),
            pids: Vec::new(),
            kernel: details.info.kernel_btf != 0,
            name: Some(Text(details.name)).filter(|name| !name.0.is_empty()),
        })
    }
}
