//! The BTF types of a map's keys and values.

use std::io;
use std::sync::Arc;

use bpfsys::uapi::info::MapInfo;
use bpfsys::{BtfFd, BtfId};
use btf::{Btf, TypeId};

use crate::failure::{Failure, Result};
use crate::kernel_btf;
use crate::render::json::Json;
use crate::render::tree::{Style, write_value};

/// How to read the bytes of a map.
#[derive(Debug)]
pub struct MapTypes {
    btf: Btf<'static>,
    key: Option<u32>,
    value: u32,
}

impl MapTypes {
    /// Whether a map was made with types.
    #[must_use]
    pub fn are_known(info: &MapInfo) -> bool {
        info.btf_vmlinux_value_type_id != 0 || (info.btf_value_type_id != 0 && info.btf_id != 0)
    }

    /// The types of a map; `None` when it was made without BTF.
    pub fn load(info: &MapInfo) -> Result<Option<Self>> {
        let key = Some(info.btf_key_type_id).filter(|id| *id != 0);
        // values of struct_ops maps are described by the kernel's own BTF, or a module's
        if info.btf_vmlinux_value_type_id != 0 {
            return Ok(Some(Self {
                btf: types_of_kernel(info.btf_vmlinux_id)?,
                key: None,
                value: info.btf_vmlinux_value_type_id,
            }));
        }
        if info.btf_value_type_id == 0 {
            return Ok(None);
        }
        let fail =
            |cause| Failure::because(format_args!("failed to get BTF {}", info.btf_id), cause);
        let Some(id) = BtfId::new(info.btf_id) else {
            return Ok(None);
        };
        let data = BtfFd::by_id(id).and_then(|fd| fd.data()).map_err(fail)?;
        let btf = Btf::parse(data).map_err(|error| {
            Failure::because(format_args!("can't read BTF {}", info.btf_id), error)
        })?;
        Ok(Some(Self {
            btf,
            key,
            value: info.btf_value_type_id,
        }))
    }

    /// The type of values, and where it is.
    #[must_use]
    pub fn value(&self) -> (&Btf<'static>, TypeId) {
        (&self.btf, TypeId::from(self.value))
    }

    /// The name of the type of values; empty where it has none.
    #[must_use]
    pub fn value_name(&self) -> Vec<u8> {
        let found = self.btf.type_by_id(self.value);
        found.map_or_else(|_| Vec::new(), |ty| ty.name().to_vec())
    }

    /// Whether keys have a type.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Writes a key as its type says; nothing when keys have no type.
    pub fn write_key(&self, json: &mut Json<'_>, bytes: &[u8], style: Style) -> io::Result<()> {
        match self.key {
            Some(id) => write_value(json, &self.btf, TypeId::from(id), bytes, style),
            None => Ok(()),
        }
    }

    /// Writes a value as its type says.
    pub fn write_value(&self, json: &mut Json<'_>, bytes: &[u8], style: Style) -> io::Result<()> {
        write_value(json, &self.btf, TypeId::from(self.value), bytes, style)
    }
}

/// The kernel's BTF, or that of the module with this BTF id on top of it.
fn types_of_kernel(id: u32) -> Result<Btf<'static>> {
    let vmlinux = kernel_btf::vmlinux()?;
    let Some(id) = BtfId::new(id) else {
        return Ok(vmlinux);
    };
    let fail = |cause| Failure::because(format_args!("failed to get BTF {id}"), cause);
    let fd = BtfFd::by_id(id).map_err(fail)?;
    if fd.info().map_err(fail)?.name == b"vmlinux" {
        return Ok(vmlinux);
    }
    Btf::parse_split(fd.data().map_err(fail)?, Arc::new(vmlinux))
        .map_err(|error| Failure::because(format_args!("can't read BTF {id}"), error))
}
