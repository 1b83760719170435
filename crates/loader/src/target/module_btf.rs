//! Types of the kernel's modules.

use super::{ModuleBtf, TargetError};
use bpfsys::{BtfFd, BtfId, ErrorKind, SysError, TokenFd};
use btf::Btf;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Where the kernel shows the types of each module, to everybody.
const DIR: &str = "/sys/kernel/btf";

/// The modules whose types were asked for by name: a list that only grows, so that what it lends
/// stays where it is.
#[derive(Debug, Default)]
pub(super) struct Named(OnceLock<Box<Node>>);

#[derive(Debug)]
struct Node {
    name: String,
    module: Option<ModuleBtf>,
    next: Named,
}

impl Named {
    /// What is known of this name, found out by `open` the first time.
    pub(super) fn get_or_open(
        &self,
        name: &str,
        open: impl FnOnce() -> Result<Option<ModuleBtf>, TargetError>,
    ) -> Result<Option<&ModuleBtf>, TargetError> {
        let mut list = self;
        while let Some(node) = list.0.get() {
            if node.name == name {
                return Ok(node.module.as_ref());
            }
            list = &node.next;
        }
        let mut node = Box::new(Node {
            name: name.to_owned(),
            module: open()?,
            next: Self::default(),
        });
        // Another thread may have been faster: then it goes behind what that one has added.
        while let Err(again) = list.0.set(node) {
            node = again;
            match list.0.get() {
                Some(taken) => list = &taken.next,
                None => return Ok(None),
            }
        }
        Ok(list.0.get().and_then(|node| node.module.as_ref()))
    }
}

/// A module that has types.
struct Seen {
    name: String,
    id: u32,
    fd: BtfFd,
}

/// Walks the kernel's BTF objects until `wanted` has enough. Empty where they may not be seen.
fn walk(
    token: Option<&TokenFd>,
    mut wanted: impl FnMut(Seen) -> Result<bool, TargetError>,
) -> Result<(), TargetError> {
    let all = |source| TargetError::ModuleBtf {
        what: "the kernel's modules".to_owned(),
        source,
    };
    for id in bpfsys::btf_ids() {
        let seen = id.and_then(|id| see(id, token));
        match seen {
            Ok(Some(module)) => {
                if wanted(module)? {
                    break;
                }
            }
            Ok(None) => {}
            // Went away meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // Kernels before 5.4 have no such ids, and no modules with types either.
            Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Invalid) => break,
            Err(error) => return Err(all(error)),
        }
    }
    Ok(())
}

/// The BTF object with this id, if it is a module's.
fn see(id: BtfId, token: Option<&TokenFd>) -> Result<Option<Seen>, SysError> {
    let fd = match token {
        Some(token) => BtfFd::by_id_with_token(id, token)?,
        None => BtfFd::by_id(id)?,
    };
    let info = fd.info()?;
    if !info.is_kernel() || info.name == b"vmlinux" || info.name.is_empty() {
        return Ok(None);
    }
    Ok(Some(Seen {
        name: String::from_utf8_lossy(&info.name).into_owned(),
        id: info.info.id,
        fd,
    }))
}

/// The types of all modules, in the order of their ids.
pub(super) fn all(
    base: &Arc<Btf<'static>>,
    token: Option<&TokenFd>,
) -> Result<Vec<ModuleBtf>, TargetError> {
    let mut modules = Vec::new();
    walk(token, |seen| {
        let data = seen.fd.data().map_err(|source| TargetError::ModuleBtf {
            what: format!("module {}", seen.name),
            source,
        })?;
        modules.push(split(seen.name, seen.id, data, base)?);
        Ok(false)
    })?;
    Ok(modules)
}

/// The types of one module: from its file, which costs less than asking for all.
pub(super) fn one(
    name: &str,
    base: &Arc<Btf<'static>>,
    token: Option<&TokenFd>,
) -> Result<Option<ModuleBtf>, TargetError> {
    if name == "vmlinux" || name.contains('/') || name.starts_with('.') || name.is_empty() {
        return Ok(None);
    }
    let path = Path::new(DIR).join(name);
    let data = match std::fs::read(&path) {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(TargetError::Read { path, source }),
    };
    // Who may not see ids may plan, but not load.
    let mut id = 0;
    walk(token, |seen| {
        let found = seen.name == name;
        if found {
            id = seen.id;
        }
        Ok(found)
    })?;
    split(name.to_owned(), id, data, base).map(Some)
}

fn split(
    name: String,
    id: u32,
    data: Vec<u8>,
    base: &Arc<Btf<'static>>,
) -> Result<ModuleBtf, TargetError> {
    match Btf::parse_split(data, Arc::clone(base)) {
        Ok(btf) => Ok(ModuleBtf { name, id, btf }),
        Err(source) => Err(TargetError::Btf {
            what: format!("module {name}"),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_asked_once() {
        let base = btf::build::Builder::new(btf::Endian::NATIVE)
            .finish()
            .unwrap();
        let base = Arc::new(Btf::parse(base).unwrap());
        let named = Named::default();
        let mut asked = 0;
        let mut get = |name: &str, there: bool| {
            let found = named.get_or_open(name, || {
                asked += 1;
                let data = base.data().to_vec();
                Ok(there.then(|| ModuleBtf {
                    name: name.to_owned(),
                    id: asked,
                    btf: Btf::parse(data).unwrap(),
                }))
            });
            found
                .unwrap()
                .map(|module| (module.name.clone(), module.id))
        };
        assert_eq!(get("a", true), Some(("a".into(), 1)));
        assert_eq!(get("b", false), None);
        assert_eq!(get("b", true), None);
        assert_eq!(get("c", true), Some(("c".into(), 3)));
        assert_eq!(get("a", false), Some(("a".into(), 1)));
        assert_eq!(asked, 3);
    }

    #[test]
    fn names_that_are_no_modules_have_no_types() {
        let base = btf::build::Builder::new(btf::Endian::NATIVE)
            .finish()
            .unwrap();
        let base = Arc::new(Btf::parse(base).unwrap());
        for name in ["", "vmlinux", "../btf/vmlinux", ".", "no_such_module"] {
            assert!(one(name, &base, None).unwrap().is_none(), "{name}");
        }
    }
}
