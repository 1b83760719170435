//! A whole header file, `vmlinux.h`.

use super::{Declarations, DumpError, Stop, Writer, sort};
use crate::{Btf, TypeId};

const FRONT: &str = r#"#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

#ifndef __ksym
#define __ksym __attribute__((section(".ksyms")))
#endif

#ifndef __weak
#define __weak __attribute__((weak))
#endif

#ifndef __bpf_fastcall
#if __has_attribute(bpf_fastcall)
#define __bpf_fastcall __attribute__((bpf_fastcall))
#else
#define __bpf_fastcall
#endif
#endif

"#;

const BACK: &str = "#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
";

/// What [`write()`] declares, and in which order.
#[derive(Clone, Copy, Debug)]
pub struct Options<'o> {
    /// The types asked for, in this order, with what they need; empty for all, with those of the
    /// base, and with the kernel's functions for BPF programs.
    pub roots: &'o [TypeId],
    /// All types by kind and name, so that the files of similar kernels are similar; not by id.
    pub sorted: bool,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            roots: &[],
            sorted: true,
        }
    }
}

/// Hands the text of a header file to `sink`, in blocks of about 64 KiB.
///
/// # Errors
/// [`DumpError::Btf`] for types that have no C form: what was handed on until then is not a
/// whole file. [`DumpError::Sink`] for the first error of `sink`.
pub fn write<E>(
    btf: &Btf<'_>,
    options: Options<'_>,
    mut sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), DumpError<E>> {
    let mut failed = None;
    let mut full = |text: &[u8]| match sink(text) {
        Ok(()) => true,
        Err(error) => {
            failed = Some(error);
            false
        }
    };
    let mut types = Declarations::new(btf);
    let mut w = Writer {
        out: Vec::with_capacity(Writer::LIMIT + (8 << 10)),
        left: types.text,
        root: TypeId::VOID,
        full: Some(&mut full),
    };
    let result = file(&mut w, &mut types, options).and_then(|()| w.hand_on());
    match (result, failed) {
        (Err(Stop::Btf(error)), _) => Err(DumpError::Btf(error)),
        (_, Some(error)) => Err(DumpError::Sink(error)),
        (Ok(()) | Err(Stop::Sink), None) => Ok(()),
    }
}

fn file(
    w: &mut Writer<'_>,
    types: &mut Declarations<'_>,
    options: Options<'_>,
) -> Result<(), Stop> {
    let btf = types.btf;
    w.text(FRONT);
    if options.roots.is_empty() {
        if options.sorted {
            let (first, mut last) = sort::by_rank(btf);
            for id in first {
                types.define(w, id)?;
            }
            // nearly all of the last ones: there is no need to sort them
            last.retain(|id| !types.is_settled(*id, 0));
            for id in sort::sort(btf, last) {
                types.define(w, id)?;
            }
        } else {
            for id in (1..btf.len()).map(TypeId) {
                types.define_known(w, id)?;
            }
        }
        types.kfuncs(w)?;
    } else {
        for id in options.roots {
            types.define(w, *id)?;
        }
    }
    w.text(BACK);
    Ok(())
}
