//! Programs of cgroups, as views.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bpfsys::cmd::{ProgQuery, QueriedProg};
use bpfsys::uapi::flags::{AttachFlags, QueryFlags};
use bpfsys::{AttachType, BtfFd, BtfId, ProgFd};
use btf::{Btf, Type};
use nix::errno::Errno;

use super::view::{CgroupView, ProgramView, TreeView};
use crate::failure::{Failure, Result};
use crate::kernel::Kernel;
use crate::names::ProgNames;
use crate::nouns::NameOrNumber;
use crate::render::escape::{Escaped, Text};
use crate::{kernel_btf, procfs};

/// The hooks that cgroups have, in bpftool's order.
pub const HOOKS: [AttachType; 29] = [
    AttachType::CGROUP_INET_INGRESS,
    AttachType::CGROUP_INET_EGRESS,
    AttachType::CGROUP_INET_SOCK_CREATE,
    AttachType::CGROUP_INET_SOCK_RELEASE,
    AttachType::CGROUP_INET4_BIND,
    AttachType::CGROUP_INET6_BIND,
    AttachType::CGROUP_INET4_POST_BIND,
    AttachType::CGROUP_INET6_POST_BIND,
    AttachType::CGROUP_INET4_CONNECT,
    AttachType::CGROUP_INET6_CONNECT,
    AttachType::CGROUP_UNIX_CONNECT,
    AttachType::CGROUP_INET4_GETPEERNAME,
    AttachType::CGROUP_INET6_GETPEERNAME,
    AttachType::CGROUP_UNIX_GETPEERNAME,
    AttachType::CGROUP_INET4_GETSOCKNAME,
    AttachType::CGROUP_INET6_GETSOCKNAME,
    AttachType::CGROUP_UNIX_GETSOCKNAME,
    AttachType::CGROUP_UDP4_SENDMSG,
    AttachType::CGROUP_UDP6_SENDMSG,
    AttachType::CGROUP_UNIX_SENDMSG,
    AttachType::CGROUP_UDP4_RECVMSG,
    AttachType::CGROUP_UDP6_RECVMSG,
    AttachType::CGROUP_UNIX_RECVMSG,
    AttachType::CGROUP_SOCK_OPS,
    AttachType::CGROUP_DEVICE,
    AttachType::CGROUP_SYSCTL,
    AttachType::CGROUP_GETSOCKOPT,
    AttachType::CGROUP_SETSOCKOPT,
    AttachType::LSM_CGROUP,
];

/// What runs for one cgroup; with `effective`, what it inherits too.
pub fn programs(path: &Path, effective: bool) -> Result<Vec<ProgramView>> {
    Lister::new(effective).cgroup(path)
}

/// The cgroups below a directory that have programs; without one, all that can be seen.
pub fn tree(kernel: &Kernel, root: Option<&Path>, effective: bool) -> Result<TreeView> {
    let root = match root {
        Some(root) => without_slashes(root),
        None => procfs::cgroup2_mount(kernel.proc_root())
            .ok_or_else(|| Failure::new("cgroup v2 isn't mounted"))?,
    };
    let shown = Escaped(root.as_os_str().as_bytes());
    let device = root
        .symlink_metadata()
        .and_then(|_| root.metadata())
        .map_err(|error| Failure::because(format_args!("can't iterate over {shown}"), error))?
        .dev();
    let mut lister = Lister::new(effective);
    let mut cgroups = Vec::new();
    // a stack instead of recursion: how deep it goes is not ours to say
    let mut next = vec![root.clone()];
    while let Some(path) = next.pop() {
        match lister.cgroup(&path) {
            Ok(programs) if programs.is_empty() => {}
            Ok(programs) => cgroups.push(CgroupView {
                cgroup: Text::from(path.as_os_str().as_bytes()),
                programs,
            }),
            // removed while the tree was read
            Err(_) if path != root && !path.exists() => continue,
            Err(failure) => return Err(failure),
        }
        let mut below = directories(&path, device);
        below.reverse();
        next.append(&mut below);
    }
    Ok(TreeView {
        root: Text::from(root.as_os_str().as_bytes()),
        effective,
        cgroups,
    })
}

/// The directories in one, of the same file system.
fn directories(path: &Path, device: u64) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else {
        return Vec::new();
    };
    let directories = entries.flatten().filter(|entry| {
        let meta = entry.metadata();
        meta.is_ok_and(|meta| meta.is_dir() && meta.dev() == device)
    });
    directories.map(|entry| entry.path()).collect()
}

fn without_slashes(path: &Path) -> PathBuf {
    let bytes = path.as_os_str().as_bytes();
    let end = bytes.iter().rposition(|byte| *byte != b'/');
    let kept = bytes.get(..=end.unwrap_or_default()).unwrap_or(bytes);
    PathBuf::from(std::ffi::OsStr::from_bytes(kept))
}

/// What programs say about themselves, with what is looked up once.
struct Lister {
    effective: bool,
    names: ProgNames,
    /// The kernel's types, and their id, once a program needs them.
    types: Option<Option<(u32, Btf<'static>)>>,
}

impl Lister {
    fn new(effective: bool) -> Self {
        Self {
            effective,
            names: ProgNames::default(),
            types: None,
        }
    }

    fn cgroup(&mut self, path: &Path) -> Result<Vec<ProgramView>> {
        let shown = Escaped(path.as_os_str().as_bytes());
        let cgroup = File::open(path)
            .map_err(|error| Failure::because(format_args!("can't open cgroup {shown}"), error))?;
        let flags = if self.effective {
            QueryFlags::EFFECTIVE
        } else {
            QueryFlags::empty()
        };
        let mut views = Vec::new();
        for hook in HOOKS {
            let result = match ProgQuery::new(&cgroup, hook).flags(flags).run() {
                Ok(result) => result,
                // a hook that this kernel has not got
                Err(error) if error.is(Errno::EINVAL) => continue,
                Err(error) => {
                    let what = format_args!("can't query bpf programs attached to {shown}");
                    return Err(Failure::because(what, error));
                }
            };
            for program in &result.progs {
                views.extend(self.program(program, hook, result.attach_flags));
            }
        }
        Ok(views)
    }

    /// A program; `None` when it is gone by now.
    fn program(
        &mut self,
        program: &QueriedProg,
        hook: AttachType,
        of_hook: AttachFlags,
    ) -> Option<ProgramView> {
        let fd = ProgFd::by_id(program.prog_id).ok()?;
        let info = fd.info().ok()?;
        let own = program.attach_flags.filter(|flags| !flags.is_empty());
        let flags = own.unwrap_or(of_hook);
        Some(ProgramView {
            id: info.id,
            attach_type: NameOrNumber::new(hook.name(), hook.0),
            attach_flags: (!self.effective).then(|| Text::from(words(flags))),
            name: Text::from(self.names.full_name(&fd, &info)),
            attach_btf_name: self.function(info.attach_btf_obj_id, info.attach_btf_id),
            attach_btf_obj_id: info.attach_btf_obj_id,
            attach_btf_id: info.attach_btf_id,
        })
    }

    /// The function of the kernel itself with this id.
    fn function(&mut self, types: u32, id: u32) -> Option<Text> {
        if types == 0 || id == 0 {
            return None;
        }
        let own = self.types.get_or_insert_with(|| kernel_types(types));
        let (kernel, btf) = own.as_ref()?;
        match btf.type_by_id(id).ok().filter(|_| *kernel == types)? {
            Type::Func(func) => Some(Text::from(func.name().or_empty())),
            _ => None,
        }
    }
}

/// The kernel's types, if these are them.
fn kernel_types(id: u32) -> Option<(u32, Btf<'static>)> {
    let details = BtfFd::by_id(BtfId::new(id)?).ok()?.info().ok()?;
    let kernels = details.is_kernel() && details.name == b"vmlinux";
    Some((id, kernel_btf::vmlinux().ok().filter(|_| kernels)?))
}

/// Flags in words: bpftool's for those that it knows.
fn words(flags: AttachFlags) -> String {
    let known = [
        (AttachFlags::ALLOW_MULTI, "multi"),
        (AttachFlags::ALLOW_OVERRIDE, "override"),
        (AttachFlags::PREORDER, "preorder"),
    ];
    let mut rest = flags;
    let mut words = Vec::new();
    for (flag, word) in known {
        if flags.contains(flag) {
            rest.remove(flag);
            words.push(word.to_owned());
        }
    }
    if !rest.is_empty() {
        words.push(format!("unknown({:x})", rest.bits()));
    }
    words.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_words() {
        assert_eq!(words(AttachFlags::empty()), "");
        assert_eq!(words(AttachFlags::ALLOW_MULTI), "multi");
        assert_eq!(words(AttachFlags::ALLOW_OVERRIDE), "override");
        let both = AttachFlags::ALLOW_MULTI | AttachFlags::PREORDER;
        assert_eq!(words(both), "multi,preorder");
        assert_eq!(
            words(AttachFlags::from_bits_retain(0x102)),
            "multi,unknown(100)"
        );
    }

    #[test]
    fn roots_have_no_slash_behind_them() {
        for (given, kept) in [("/a/b//", "/a/b"), ("/", "/"), ("a", "a"), ("", "")] {
            assert_eq!(without_slashes(Path::new(given)), Path::new(kept));
        }
    }
}
