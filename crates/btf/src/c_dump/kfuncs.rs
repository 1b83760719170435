//! The kernel functions that BPF programs may call.

use super::names::Label;
use super::sort::LONGEST;
use super::{Declarations, Stop, Writer};
use crate::raw::strings::first_of;
use crate::types::{Func, Type};
use crate::{Btf, TypeId};

/// Tags on functions.
const KFUNC: &[u8] = b"bpf_kfunc";
const FASTCALL: &[u8] = b"bpf_fastcall";

/// A function with the tag, and whether it keeps registers.
struct Kfunc<'a> {
    name: &'a [u8],
    func: Func<'a>,
    fast: bool,
}

/// The tagged functions by name, as often as they are tagged.
fn find<'a>(btf: &'a Btf<'a>) -> Vec<Kfunc<'a>> {
    let (mut found, mut fast) = (Vec::new(), Vec::new());
    super::each_type(btf, &mut |_, ty| {
        let Type::DeclTag(tag) = ty else { return };
        if tag.component_idx() != -1 {
            return;
        }
        let Ok(Type::Func(func)) = btf.type_by_id(tag.type_id()) else {
            return;
        };
        if tag.name().is(KFUNC) {
            found.push(Kfunc {
                name: first_of(func.name().tail().unwrap_or_default(), LONGEST),
                func,
                fast: false,
            });
        } else if tag.name().is(FASTCALL) {
            fast.push(tag.type_id());
        }
    });
    fast.sort_unstable();
    for kfunc in &mut found {
        kfunc.fast = fast.binary_search(&kfunc.func.id()).is_ok();
    }
    found.sort_by_key(|kfunc| kfunc.name);
    found
}

impl Declarations<'_> {
    /// Declares the kernel's functions for BPF programs.
    pub(super) fn kfuncs(&mut self, w: &mut Writer<'_>) -> Result<(), Stop> {
        w.text("\n/* BPF kfuncs */\n#ifndef BPF_NO_KFUNC_PROTOTYPES\n");
        for kfunc in find(self.btf) {
            w.root = kfunc.func.id();
            w.text("extern ");
            if kfunc.fast {
                w.text("__bpf_fastcall ");
            }
            let proto: TypeId = kfunc.func.proto();
            self.declare(w, proto, Label::of(kfunc.func.name())?, 0, 0)?;
            w.text(" __weak __ksym;\n");
            w.settle()?;
        }
        w.text("#endif\n\n");
        Ok(())
    }
}
