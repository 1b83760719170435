//! The kernel's own types: opened at most once, and never copied where the kernel can be borrowed
//! from.

use std::borrow::Cow;
use std::sync::OnceLock;

use bpfsys::KernelBtf;
use btf::Btf;

use crate::failure::{Failure, Result};

static BYTES: OnceLock<KernelBtf> = OnceLock::new();

/// The kernel's BTF.
pub fn vmlinux() -> Result<Btf<'static>> {
    let path = KernelBtf::VMLINUX;
    if BYTES.get().is_none() {
        let opened = KernelBtf::vmlinux()
            .map_err(|error| Failure::because(format_args!("can't read {path}"), error))?;
        // another thread may have been faster: either is the same
        drop(BYTES.set(opened));
    }
    let bytes: &'static [u8] = BYTES.get().map_or(&[], |btf| btf);
    Btf::parse(Cow::Borrowed(bytes))
        .map_err(|error| Failure::because(format_args!("can't read {path}"), error))
}
