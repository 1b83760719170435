//! How control flows through a program: its functions, their basic blocks, and where each goes on.

use std::ops::Range;

use bpfsys::cmd::{MapLookupElem, ProgParts};
use bpfsys::insn::opcode::code;
use bpfsys::insn::{CallKind, Insn, Pseudo};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::uapi::info::{FuncInfo, InsnArrayValue};
use bpfsys::{MapFd, MapShape, MapType, ProgFd};
use zerocopy::FromBytes;

use super::Row;

/// A function of a program.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// In the order of their instructions; the first is where it is entered.
    pub blocks: Vec<Block>,
}

/// Instructions that run one after the other.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// Which rows of the listing.
    pub rows: Range<usize>,
    /// Where control goes from its last instruction: where it falls through to, then where it
    /// jumps to.
    pub next: Vec<Next>,
}

/// Where a block goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// To this block of its function.
    Block(usize),
    /// Out of the function.
    Exit,
}

/// Divides a listing into functions and blocks. `functions` are the records of the program, if it
/// has any; `table` the slots that jumps through registers may reach.
#[must_use]
pub fn functions(rows: &[Row], functions: &[FuncInfo], table: &[usize]) -> Vec<Function> {
    let starts = function_starts(rows, functions);
    let ends = starts.iter().skip(1).copied().chain([rows.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| Function {
            blocks: blocks(rows, start..end, table),
        })
        .collect()
}

/// The rows at which functions begin, in order.
fn function_starts(rows: &[Row], functions: &[FuncInfo]) -> Vec<usize> {
    let mut starts: Vec<usize> = functions
        .iter()
        .filter_map(|record| row_at(rows, usize::try_from(record.insn_off).ok()?))
        .collect();
    // The kernel shows the distance of a call in 16 bits, which larger programs overflow.
    let exact = rows.last().is_some_and(|row| row.index < 1 << 15);
    if exact {
        starts.extend(rows.iter().filter_map(|row| {
            let insn = row.slots.first()?;
            row_at(rows, target(row.index, callee_distance(*insn)?)?)
        }));
    }
    if !rows.is_empty() {
        starts.push(0);
    }
    starts.sort_unstable();
    starts.dedup();
    starts
}

/// How far away the function of the same program is that an instruction calls or takes.
fn callee_distance(insn: Insn) -> Option<i32> {
    if insn.call_kind() == Some(CallKind::Local) {
        return Some(i32::from(insn.off));
    }
    let takes = insn.code == code::LD_IMM64 && Pseudo::from_src(insn.src()) == Some(Pseudo::Func);
    takes.then_some(insn.imm)
}

fn blocks(rows: &[Row], function: Range<usize>, table: &[usize]) -> Vec<Block> {
    let jumps = |row: usize| Jump::of(rows, row, &function, table);
    let mut heads = vec![function.start];
    for row in function.clone() {
        let jump = jumps(row);
        if jump.ends_block {
            heads.push(row + 1);
            heads.extend(jump.targets);
        }
    }
    heads.retain(|head| function.contains(head));
    heads.sort_unstable();
    heads.dedup();
    let block_at = |row: usize| heads.binary_search(&row).ok().map(Next::Block);
    let ends = heads.iter().skip(1).copied().chain([function.end]);
    let mut blocks = Vec::with_capacity(heads.len());
    for (&start, end) in heads.iter().zip(ends) {
        let jump = jumps(end.saturating_sub(1));
        let mut next = Vec::with_capacity(jump.targets.len() + 1);
        if jump.leaves {
            next.push(Next::Exit);
        }
        if jump.falls_through {
            next.push(block_at(end).unwrap_or(Next::Exit));
        }
        next.extend(jump.targets.into_iter().filter_map(block_at));
        blocks.push(Block {
            rows: start..end,
            next,
        });
    }
    blocks
}

/// What an instruction does to the flow of control.
struct Jump {
    ends_block: bool,
    falls_through: bool,
    leaves: bool,
    /// Rows of the same function.
    targets: Vec<usize>,
}

impl Jump {
    fn of(rows: &[Row], row: usize, function: &Range<usize>, table: &[usize]) -> Self {
        let (at, insn) = rows.get(row).map_or_else(Default::default, |row| {
            (row.index, row.slots.first().copied().unwrap_or_default())
        });
        let distance = insn.jump_distance();
        let mut targets = Vec::new();
        if insn.code == code::GOTOX {
            targets.extend(table.iter().filter_map(|slot| row_at(rows, *slot)));
        } else if let Some(distance) = distance {
            targets.extend(target(at, distance).and_then(|slot| row_at(rows, slot)));
        }
        targets.retain(|row| function.contains(row));
        Self {
            ends_block: insn.ends_flow() || distance.is_some(),
            falls_through: !insn.ends_flow(),
            leaves: insn.code == code::EXIT,
            targets,
        }
    }
}

/// The slot that is `distance` behind the one after `index`.
fn target(index: usize, distance: i32) -> Option<usize> {
    index
        .checked_add(1)?
        .checked_add_signed(isize::try_from(distance).ok()?)
}

/// The row of a slot; none in the middle of an instruction.
fn row_at(rows: &[Row], slot: usize) -> Option<usize> {
    rows.binary_search_by_key(&slot, |row| row.index).ok()
}

/// The slots that the jump tables of a program tell of, in order. Tables that cannot be read any
/// more leave jumps through registers without targets.
#[must_use]
pub fn jump_table(prog: &ProgFd) -> Vec<usize> {
    let maps = prog.details(ProgParts::MAP_IDS).unwrap_or_default().map_ids;
    let mut slots: Vec<usize> = maps
        .into_iter()
        .filter_map(|id| MapFd::by_id(id, MapFlags::RDONLY).ok())
        .flat_map(|map| read_table(&map))
        .collect();
    slots.sort_unstable();
    slots.dedup();
    slots
}

fn read_table(map: &MapFd) -> Vec<usize> {
    let table = |shape: &MapShape| shape.map_type == MapType::INSN_ARRAY;
    let Some(shape) = map.shape().ok().filter(table) else {
        return Vec::new();
    };
    let mut value = vec![0; shape.value_buf_len];
    (0..shape.max_entries)
        .map_while(|index| {
            MapLookupElem::new(map, &index.to_ne_bytes())
                .run(&mut value)
                .ok()?;
            let (value, _) = InsnArrayValue::read_from_prefix(&value).ok()?;
            usize::try_from(value.xlated_off).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use bpfsys::insn::{asm, disasm};

    use super::*;

    fn rows(text: &str) -> Vec<Row> {
        let insns = asm::assemble(text).unwrap();
        let mut rows = Vec::new();
        let mut index = 0;
        while index < insns.len() {
            let line = disasm::disasm_one(&insns, index, &disasm::References);
            let slots = insns[index..index + line.slots].to_vec();
            rows.push(Row {
                index,
                proto: None,
                source: None,
                text: line.text,
                slots,
            });
            index += line.slots;
        }
        rows
    }

    /// `rows->where`, blocks apart by a blank, functions by ` / `.
    fn drawn(functions: &[Function]) -> String {
        let block = |block: &Block| {
            let next = block.next.iter().map(|next| match next {
                Next::Block(n) => format!("b{n}"),
                Next::Exit => "exit".into(),
            });
            let next: Vec<String> = next.collect();
            format!(
                "{}-{}:{}",
                block.rows.start,
                block.rows.end - 1,
                next.join(",")
            )
        };
        let function = |f: &Function| f.blocks.iter().map(block).collect::<Vec<_>>().join(" ");
        functions
            .iter()
            .map(function)
            .collect::<Vec<_>>()
            .join(" / ")
    }

    #[track_caller]
    fn check(text: &str, records: &[u32], table: &[usize], expected: &str) {
        let records: Vec<FuncInfo> = records
            .iter()
            .map(|at| FuncInfo {
                insn_off: *at,
                type_id: 1,
            })
            .collect();
        let functions = functions(&rows(text), &records, table);
        assert_eq!(drawn(&functions), expected, "{text}");
    }

    #[test]
    fn a_line_without_jumps_is_one_block() {
        check("r0 = 0\nexit", &[], &[], "0-1:exit");
        check("", &[], &[], "");
    }

    #[test]
    fn an_exit_in_the_middle_does_not_fall_through() {
        check(
            "if r1 == 0x0 goto pc+2\nr0 = 0\nexit\nr0 = 1\nexit",
            &[],
            &[],
            "0-0:b1,b2 1-2:exit 3-4:exit",
        );
    }

    #[test]
    fn jumps_go_back_and_far() {
        check("r0 = 0\ngoto pc-2", &[], &[], "0-1:b0");
        check(
            "gotol pc+1\nexit\nr0 = 0\nexit",
            &[],
            &[],
            "0-0:b2 1-1:exit 2-3:exit",
        );
        check(
            "may_goto pc+1\ngoto pc-2\nexit",
            &[],
            &[],
            "0-0:b1,b2 1-1:b0 2-2:exit",
        );
    }

    #[test]
    fn jumps_through_registers_reach_what_the_table_tells() {
        let text = "gotox r1\nr0 = 0\nexit\nr0 = 1\nexit\nexit";
        check(
            text,
            &[0, 5],
            &[1, 3, 5],
            "0-0:b1,b2 1-2:exit 3-4:exit / 5-5:exit",
        );
        check(text, &[], &[], "0-0: 1-2:exit 3-4:exit 5-5:exit");
    }

    #[test]
    fn slots_count_not_rows() {
        check(
            "r1 = 0x1\nif r1 == 0x0 goto pc+2\nr2 = 0x1\nexit",
            &[],
            &[],
            "0-1:b1,b2 2-2:b2 3-3:exit",
        );
    }

    #[test]
    fn functions_begin_at_records_and_where_calls_go() {
        check(
            "r0 = 0\nexit\nr0 = 1\nexit",
            &[0, 2],
            &[],
            "0-1:exit / 2-3:exit",
        );
        let mut rows = rows("call pc+1\nexit\nr0 = 1\nexit");
        rows[0].slots[0].off = 1;
        assert_eq!(drawn(&functions(&rows, &[], &[])), "0-1:exit / 2-3:exit");
    }

    #[test]
    fn what_leads_nowhere_is_no_edge() {
        check("goto pc+9\nexit", &[], &[], "0-0: 1-1:exit");
        check("goto pc-9\nexit", &[], &[], "0-0: 1-1:exit");
        check("goto pc+1\nr1 = 0x1\nexit", &[], &[], "0-0: 1-2:exit");
        check("if r1 == 0x0 goto pc+0", &[], &[], "0-0:exit");
    }
}
