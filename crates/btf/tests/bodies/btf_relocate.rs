//! Three blobs: split types, the base they have, and one they are put on. What comes out parses
//! and says the same.

use std::sync::Arc;

use btf::build::Builder;
use btf::distill::{distill_base, relocate};
use btf::{Btf, TypeId};

/// Where the second and the third blob start in the rest; then the base, the split types and the
/// other base. A missing one is replaced by the first.
pub(crate) fn run(data: &[u8]) {
    let Some(([a, b, c, d], rest)) = data.split_first_chunk() else {
        return;
    };
    let cut = |rest, at| -> (&[u8], &[u8]) {
        let at = usize::from(u16::from_le_bytes(at));
        <[u8]>::split_at_checked(rest, at).unwrap_or((rest, &[]))
    };
    let (old, rest) = cut(rest, [*a, *b]);
    let (split, new) = cut(rest, [*c, *d]);
    let Ok(old) = Btf::parse(old).map(Arc::new) else {
        return;
    };
    let Some(split) = on(split, &old) else { return };
    let new = Btf::parse(new).map_or_else(|_error| Arc::clone(&old), Arc::new);

    if let Some(moved) = put(&split, &new) {
        assert_eq!(moved.ids().len(), split.ids().len());
    }
    let Ok(parts) = distill_base(&split) else {
        return;
    };
    let small = Arc::new(Btf::parse(parts.base).expect("a base that was written"));
    assert!(small.types().all(|(_, ty)| !ty.name().is_empty()));
    let apart = Btf::parse_split(parts.split.clone(), Arc::clone(&small));
    let apart = apart.expect("types that were written");
    for ((_, one), (_, other)) in split.types().zip(apart.types()) {
        assert_eq!((one.kind(), one.name()), (other.kind(), other.name()));
    }
    if let Ok(same) = relocate(&apart, &small) {
        assert_eq!(same.into_data(), parts.split);
    }
    if let Some(back) = put(&apart, &old) {
        assert!(back.ids().len() >= split.ids().len());
    }
}

/// Split types, else the base's own once more.
fn on<'d>(data: &'d [u8], base: &Arc<Btf<'d>>) -> Option<Btf<'d>> {
    if let Ok(split) = Btf::parse_split(data, Arc::clone(base)) {
        return Some(split);
    }
    let mut b = Builder::split(base);
    b.append(base).ok()?;
    let bytes = b.finish().ok()?;
    Btf::parse_split(bytes, Arc::clone(base)).ok()
}

/// The types on another base.
fn put<'d>(split: &Btf<'d>, base: &Arc<Btf<'d>>) -> Option<Btf<'d>> {
    let moved = match relocate(split, base) {
        Ok(moved) => moved,
        Err(error) => {
            assert!(!error.to_string().contains(char::is_control));
            return None;
        }
    };
    let new = Btf::parse_split(moved.data().to_vec(), Arc::clone(base));
    let new = new.expect("types that were written");
    assert_eq!(moved.map(TypeId::VOID), TypeId::VOID);
    for id in (1..split.len()).map(TypeId) {
        let ty = split.type_by_id(id).expect("it is there");
        let to = new.type_by_id(moved.map(id)).expect("it was moved");
        assert_eq!(to.name(), ty.name());
        assert!(id.get() < split.start_id() || to.kind() == ty.kind());
    }
    Some(new)
}
