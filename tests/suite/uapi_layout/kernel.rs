//! Finding a member of a kernel structure by the words people write for it.

use anyhow::{Context as _, Result, bail};

use btf::{Btf, Kind, Type, TypeId};

/// A structure, or a member of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    id: TypeId,
    /// Bytes from where the search began.
    pub(crate) offset: usize,
    /// Bytes.
    pub(crate) size: usize,
}

impl Place {
    /// `bpf_link_info.perf_event` is a member; `bpf_attr:map_type` the unnamed
    /// structure inside `bpf_attr` that has a member of that name.
    ///
    /// `None` if the kernel has no such thing.
    pub(crate) fn find(btf: &Btf<'_>, path: &str) -> Result<Option<Self>> {
        let (top, rest) = match path.find(['.', ':']) {
            Some(at) => path.split_at(at),
            None => (path, ""),
        };
        let id = btf
            .find_by_name_kind(top.as_bytes(), Kind::Struct)
            .or_else(|| btf.find_by_name_kind(top.as_bytes(), Kind::Union));
        let Some(id) = id else { return Ok(None) };
        let top = Self::at(btf, id, 0)?;
        match rest.split_at_checked(1) {
            None => Ok(Some(top)),
            Some((".", member)) => top.member(btf, member),
            Some((_, inside)) => top.unnamed_with(btf, inside),
        }
    }

    fn at(btf: &Btf<'_>, id: TypeId, offset: usize) -> Result<Self> {
        let size = usize::try_from(btf.size_of(id)?).context("a size beyond the address space")?;
        Ok(Self { id, offset, size })
    }

    /// A member, or a member of a member (`map.map_id`); unnamed ones are looked through.
    pub(crate) fn member(&self, btf: &Btf<'_>, path: &str) -> Result<Option<Self>> {
        let mut here = *self;
        for name in path.split('.') {
            let flat = btf.flatten(here.id)?;
            let Some(found) = flat.iter().find(|m| m.name.or_empty() == name.as_bytes()) else {
                return Ok(None);
            };
            let bits = usize::try_from(found.bit_offset).context("an offset too large")?;
            here = Self::at(btf, found.type_id, here.offset + bits / 8)?;
        }
        Ok(Some(here))
    }

    fn unnamed_with(&self, btf: &Btf<'_>, name: &str) -> Result<Option<Self>> {
        let (_, ty) = btf.resolve(self.id)?;
        let (Type::Struct(top) | Type::Union(top)) = ty else {
            bail!("not a structure");
        };
        for member in top.members() {
            if !member.name.is_empty() {
                continue;
            }
            let inner = Self::at(btf, member.type_id, self.offset)?;
            if inner.member(btf, name)?.is_some() {
                return Ok(Some(inner));
            }
        }
        Ok(None)
    }
}
