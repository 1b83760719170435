//! Mounted bpf file systems to views.

use std::os::unix::ffi::OsStringExt;

use super::view::TokenView;
use crate::failure::{Failure, Result};
use crate::kernel::Kernel;
use crate::procfs::{self, Mount};
use crate::render::escape::Text;

/// Those that delegate something, in the order they were mounted.
pub(super) fn all(kernel: &Kernel) -> Result<Vec<TokenView>> {
    let mounts = procfs::mounts_with_options(kernel.proc_root(), b"bpf")
        .map_err(|error| Failure::because("can't read what is mounted", error))?;
    Ok(mounts.into_iter().filter_map(view).collect())
}

fn view(mount: Mount) -> Option<TokenView> {
    let delegated = |what: &str| {
        mount
            .options
            .split(|byte| *byte == b',')
            .find_map(|option| option.strip_prefix(what.as_bytes())?.strip_prefix(b"="))
            .map(|names| {
                names
                    .split(|byte| *byte == b':')
                    .filter(|name| !name.is_empty())
                    .map(|name| Text(name.to_vec()))
                    .collect::<Vec<_>>()
            })
    };
    let sets = [
        delegated("delegate_cmds"),
        delegated("delegate_maps"),
        delegated("delegate_progs"),
        delegated("delegate_attachs"),
    ];
    if sets.iter().all(Option::is_none) {
        return None;
    }
    let [cmds, maps, progs, attachs] = sets.map(Option::unwrap_or_default);
    Some(TokenView {
        token_info: Text(mount.point.into_os_string().into_vec()),
        allowed_cmds: cmds,
        allowed_maps: maps,
        allowed_progs: progs,
        allowed_attachs: attachs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_delegate_are_lists() {
        let mount = |options: &str| Mount {
            point: "/sys/fs/bpf".into(),
            options: options.as_bytes().to_vec(),
        };
        assert_eq!(view(mount("rw,mode=700")), None);
        assert_eq!(view(mount("rw,delegate_cmdsx=a")), None);
        let found = view(mount(
            "rw,delegate_cmds=map_create:prog_load,delegate_progs=xdp,mode=700",
        ))
        .unwrap();
        let text = |words: &[&str]| words.iter().map(|w| Text::from(*w)).collect::<Vec<_>>();
        assert_eq!(found.allowed_cmds, text(&["map_create", "prog_load"]));
        assert_eq!(found.allowed_progs, text(&["xdp"]));
        assert_eq!(found.allowed_maps, []);
        // a kernel writes what it has no name for as a number
        let all = view(mount("delegate_attachs=any,delegate_maps=0x1:")).unwrap();
        assert_eq!(all.allowed_attachs, text(&["any"]));
        assert_eq!(all.allowed_maps, text(&["0x1"]));
    }
}
