//! What the kernel says about a program.

#![allow(unsafe_code, reason = "makes bpf() calls")]

use super::{CMD, ROUNDS, get_info};
use crate::cmd::count32;
use crate::error::{Refusal, SysError};
use crate::fd::ProgFd;
use crate::ids::MapId;
use crate::insn::Insn;
use crate::uapi::UserPtr;
use crate::uapi::info::{FuncInfo, LineInfo, ProgInfo, TAG_SIZE};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

bitflags::bitflags! {
    /// The arrays of a program's information that a caller wants.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct ProgParts: u32 {
        /// Ids of the maps it uses.
        const MAP_IDS = 1 << 0;
        /// Instructions after verification.
        const XLATED = 1 << 1;
        /// Machine code.
        const JITED = 1 << 2;
        /// Addresses of its functions in the kernel.
        const JITED_KSYMS = 1 << 3;
        /// Lengths of its functions' machine code.
        const JITED_FUNC_LENS = 1 << 4;
        /// BTF types of its functions.
        const FUNC_INFO = 1 << 5;
        /// Source lines of its instructions.
        const LINE_INFO = 1 << 6;
        /// Addresses in the kernel that the source lines begin at.
        const JITED_LINE_INFO = 1 << 7;
        /// Tags of its functions.
        const TAGS = 1 << 8;
    }
}

/// A program's information with the arrays that were asked for; the others are empty.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ProgDetails {
    /// The numbers. Lengths and counts are the kernel's, also for arrays not asked for.
    pub info: ProgInfo,
    /// Ids of the maps it uses.
    pub map_ids: Vec<MapId>,
    /// Instructions after verification.
    pub xlated: Vec<Insn>,
    /// Machine code of all functions, one after another.
    pub jited: Vec<u8>,
    /// Addresses of its functions in the kernel.
    pub jited_ksyms: Vec<u64>,
    /// Lengths of its functions' machine code.
    pub jited_func_lens: Vec<u32>,
    /// BTF types of its functions.
    pub func_info: Vec<FuncInfo>,
    /// Source lines of its instructions.
    pub line_info: Vec<LineInfo>,
    /// Addresses in the kernel that the source lines begin at.
    pub jited_line_info: Vec<u64>,
    /// Tags of its functions.
    pub prog_tags: Vec<[u8; TAG_SIZE]>,
    /// Instructions were asked for and there are some, but the kernel hides them: no `CAP_BPF`, or
    /// hardened constants and `kptr_restrict`.
    pub xlated_hidden: bool,
    /// Machine code was asked for and there is some, but the kernel hides it, as it hides
    /// addresses.
    pub jited_hidden: bool,
}

/// Buffers for one call, sized by what the call before said.
#[derive(Default)]
struct Arrays {
    map_ids: Vec<u32>,
    xlated: Vec<Insn>,
    jited: Vec<u8>,
    jited_ksyms: Vec<u64>,
    jited_func_lens: Vec<u32>,
    func_info: Vec<u8>,
    line_info: Vec<u8>,
    jited_line_info: Vec<u64>,
    prog_tags: Vec<[u8; TAG_SIZE]>,
    func_info_rec_size: u32,
    line_info_rec_size: u32,
    jited_line_info_rec_size: u32,
}

/// Maps and functions most programs stay below, so that one call is enough.
const FIRST_GUESS: usize = 64;

fn grow<T: Clone + Default>(wanted: bool, buffer: &mut Vec<T>, len: usize, complete: &mut bool) {
    if wanted && buffer.len() < len {
        buffer.resize(len, T::default());
        *complete = false;
    }
}

impl Arrays {
    /// Makes room for what the kernel has. `false` when there was not enough.
    fn fit(&mut self, parts: ProgParts, info: &ProgInfo) -> bool {
        let mut complete = true;
        let done = &mut complete;
        let want = |part| parts.contains(part);
        let bytes = |count: u32, size: u32| (count as usize).saturating_mul(size as usize);
        grow(
            want(ProgParts::MAP_IDS),
            &mut self.map_ids,
            info.nr_map_ids as usize,
            done,
        );
        let insns = info.xlated_prog_len as usize / size_of::<Insn>();
        grow(want(ProgParts::XLATED), &mut self.xlated, insns, done);
        grow(
            want(ProgParts::JITED),
            &mut self.jited,
            info.jited_prog_len as usize,
            done,
        );
        let ksyms = info.nr_jited_ksyms as usize;
        grow(
            want(ProgParts::JITED_KSYMS),
            &mut self.jited_ksyms,
            ksyms,
            done,
        );
        let lens = info.nr_jited_func_lens as usize;
        grow(
            want(ProgParts::JITED_FUNC_LENS),
            &mut self.jited_func_lens,
            lens,
            done,
        );
        let funcs = bytes(info.nr_func_info, info.func_info_rec_size);
        grow(want(ProgParts::FUNC_INFO), &mut self.func_info, funcs, done);
        let lines = bytes(info.nr_line_info, info.line_info_rec_size);
        grow(want(ProgParts::LINE_INFO), &mut self.line_info, lines, done);
        let addresses = info.nr_jited_line_info as usize;
        grow(
            want(ProgParts::JITED_LINE_INFO),
            &mut self.jited_line_info,
            addresses,
            done,
        );
        grow(
            want(ProgParts::TAGS),
            &mut self.prog_tags,
            info.nr_prog_tags as usize,
            done,
        );
        self.func_info_rec_size = info.func_info_rec_size;
        self.line_info_rec_size = info.line_info_rec_size;
        self.jited_line_info_rec_size = info.jited_line_info_rec_size;
        complete
    }

    /// A zeroed structure with these buffers entered.
    fn enter(&mut self) -> Result<ProgInfo, SysError> {
        let count = |len: usize| count32(CMD, len);
        let records = |len: usize, size: u32| count(len.checked_div(size as usize).unwrap_or(0));
        let mut info = ProgInfo {
            nr_map_ids: count(self.map_ids.len())?,
            map_ids: UserPtr::from_mut_slice(&mut self.map_ids),
            xlated_prog_len: count(size_of_val(self.xlated.as_slice()))?,
            xlated_prog_insns: UserPtr::from_mut_slice(&mut self.xlated),
            jited_prog_len: count(self.jited.len())?,
            jited_prog_insns: UserPtr::from_mut_slice(&mut self.jited),
            nr_jited_ksyms: count(self.jited_ksyms.len())?,
            jited_ksyms: UserPtr::from_mut_slice(&mut self.jited_ksyms),
            nr_jited_func_lens: count(self.jited_func_lens.len())?,
            jited_func_lens: UserPtr::from_mut_slice(&mut self.jited_func_lens),
            nr_prog_tags: count(self.prog_tags.len())?,
            prog_tags: UserPtr::from_mut_slice(&mut self.prog_tags),
            ..Default::default()
        };
        // The kernel wants its own record sizes back as soon as it is to write records.
        if !self.func_info.is_empty() {
            info.func_info_rec_size = self.func_info_rec_size;
            info.nr_func_info = records(self.func_info.len(), self.func_info_rec_size)?;
            info.func_info = UserPtr::from_mut_slice(&mut self.func_info);
        }
        if !self.line_info.is_empty() {
            info.line_info_rec_size = self.line_info_rec_size;
            info.nr_line_info = records(self.line_info.len(), self.line_info_rec_size)?;
            info.line_info = UserPtr::from_mut_slice(&mut self.line_info);
        }
        if !self.jited_line_info.is_empty() {
            info.jited_line_info_rec_size = self.jited_line_info_rec_size;
            // The records are addresses in every kernel there is.
            if self.jited_line_info_rec_size as usize == size_of::<u64>() {
                info.nr_jited_line_info = count(self.jited_line_info.len())?;
                info.jited_line_info = UserPtr::from_mut_slice(&mut self.jited_line_info);
            } else {
                return Err(SysError::cmd(CMD, Refusal::BadAnswer));
            }
        }
        Ok(info)
    }
}

/// Reads records that may be longer than the part of them we know.
fn records<T: FromBytes + IntoBytes + Immutable + KnownLayout>(
    bytes: &[u8],
    size: u32,
    count: u32,
) -> Vec<T> {
    if size == 0 {
        return Vec::new();
    }
    bytes
        .chunks_exact(size as usize)
        .take(count as usize)
        .filter_map(|record| T::read_from_prefix(record).ok().map(|(value, _rest)| value))
        .collect()
}

impl ProgFd {
    /// BPF_OBJ_GET_INFO_BY_FD of a program, without the arrays. Since Linux 4.13.
    ///
    /// # Errors
    /// `ENODEV` for an offloaded program whose device is gone.
    #[doc(alias = "BPF_OBJ_GET_INFO_BY_FD")]
    pub fn info(&self) -> Result<ProgInfo, SysError> {
        let mut info = ProgInfo::default();
        // SAFETY: a `ProgFd` is a program, and all pointers are null.
        unsafe { get_info(self.number(), &mut info) }?;
        Ok(info)
    }

    /// As [`info`](Self::info), with the arrays asked for. Map ids alone mostly cost one call,
    /// anything else two.
    ///
    /// # Errors
    /// As [`info`](Self::info); refused with [`Refusal::KeepsChanging`] when the program gets new
    /// maps faster than they can be read.
    pub fn details(&self, parts: ProgParts) -> Result<ProgDetails, SysError> {
        let mut arrays = Arrays::default();
        if parts.contains(ProgParts::MAP_IDS) {
            arrays.map_ids = vec![0; FIRST_GUESS];
        }
        for _ in 0..ROUNDS {
            let mut info = arrays.enter()?;
            // SAFETY: a `ProgFd` is a program. Every pointer is null or backed by a buffer of
            // `arrays`, whose length, in the kernel's units, is in the field beside it.
            unsafe { get_info(self.number(), &mut info) }?;
            let hidden = |part, len: u32, buffer: UserPtr| {
                parts.contains(part) && len != 0 && buffer.is_null()
            };
            let asked_xlated = !arrays.xlated.is_empty();
            let asked_jited = !arrays.jited.is_empty();
            if arrays.fit(parts, &info) {
                return Ok(ProgDetails {
                    map_ids: first(&arrays.map_ids, info.nr_map_ids)
                        .filter_map(MapId::new)
                        .collect(),
                    xlated_hidden: asked_xlated
                        && hidden(
                            ProgParts::XLATED,
                            info.xlated_prog_len,
                            info.xlated_prog_insns,
                        ),
                    jited_hidden: asked_jited
                        && hidden(ProgParts::JITED, info.jited_prog_len, info.jited_prog_insns),
                    xlated: arrays.shown(info.xlated_prog_insns, |a| &a.xlated),
                    jited: arrays.shown(info.jited_prog_insns, |a| &a.jited),
                    jited_ksyms: arrays.shown(info.jited_ksyms, |a| &a.jited_ksyms),
                    jited_func_lens: arrays.shown(info.jited_func_lens, |a| &a.jited_func_lens),
                    jited_line_info: arrays.shown(info.jited_line_info, |a| &a.jited_line_info),
                    func_info: records(
                        &arrays.func_info,
                        arrays.func_info_rec_size,
                        info.nr_func_info,
                    ),
                    line_info: records(
                        &arrays.line_info,
                        arrays.line_info_rec_size,
                        info.nr_line_info,
                    ),
                    prog_tags: first(&arrays.prog_tags, info.nr_prog_tags).collect(),
                    info,
                });
            }
        }
        Err(SysError::cmd(CMD, Refusal::KeepsChanging))
    }
}

/// The elements the kernel wrote.
fn first<T: Copy>(buffer: &[T], count: u32) -> impl Iterator<Item = T> {
    buffer.iter().copied().take(count as usize)
}

impl Arrays {
    /// A buffer's content, or nothing when the kernel struck out its address to say that it does
    /// not tell.
    fn shown<T: Clone>(&self, pointer: UserPtr, buffer: impl Fn(&Self) -> &Vec<T>) -> Vec<T> {
        if pointer.is_null() {
            Vec::new()
        } else {
            buffer(self).clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_records_are_cut() {
        let bytes: Vec<u8> = (0..24).collect();
        let infos: Vec<FuncInfo> = records(&bytes, 12, 2);
        assert_eq!(infos.len(), 2);
        assert_eq!(infos[1].insn_off, u32::from_ne_bytes([12, 13, 14, 15]));
        assert!(records::<FuncInfo>(&bytes, 0, 2).is_empty());
        assert!(records::<FuncInfo>(&bytes, 4, 2).is_empty());
        assert_eq!(records::<FuncInfo>(&bytes, 8, 1).len(), 1);
    }

    #[test]
    fn buffers_grow_until_all_fits() {
        let mut arrays = Arrays::default();
        let info = ProgInfo {
            nr_map_ids: 3,
            xlated_prog_len: 80,
            nr_func_info: 2,
            func_info_rec_size: 8,
            ..Default::default()
        };
        let parts = ProgParts::MAP_IDS | ProgParts::XLATED | ProgParts::FUNC_INFO;
        assert!(!arrays.fit(parts, &info));
        let entered = arrays.enter().unwrap();
        assert_eq!(entered.nr_map_ids, 3);
        assert_eq!(entered.xlated_prog_len, 80);
        assert_eq!((entered.nr_func_info, entered.func_info_rec_size), (2, 8));
        assert_eq!((entered.nr_line_info, entered.line_info_rec_size), (0, 0));
        assert!(arrays.fit(parts, &info));
    }
}
