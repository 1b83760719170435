//! The flow of control as a graph in the language of Graphviz, one cluster for each function.

use std::fmt::{self, Display};
use std::io::{self, Write};

use zerocopy::IntoBytes;

use super::graph::{Function, Next};
use super::{Row, SourceLine};
use crate::render::hexdump;

/// Blocks 0 and 1 of each function are where it is entered and left.
const FIXED: usize = 2;

/// How many characters of a path are shown.
const PATH: usize = 32;

/// What to show beside the instructions.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dot {
    /// Their bytes.
    pub opcodes: bool,
    /// Where the source lines are.
    pub line_numbers: bool,
}

impl Dot {
    /// Writes the graph of a program.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(
        self,
        rows: &[Row],
        functions: &[Function],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        writeln!(out, "digraph \"DOT graph for eBPF program\" {{")?;
        for (number, function) in functions.iter().enumerate() {
            writeln!(out, "subgraph \"cluster_{number}\" {{")?;
            writeln!(out, "\tstyle=\"dashed\";\n\tcolor=\"black\";")?;
            writeln!(out, "\tlabel=\"func_{number} ()\";")?;
            self.nodes(rows, number, function, out)?;
            edges(number, function, out)?;
            writeln!(out, "}}")?;
        }
        writeln!(out, "}}")
    }

    fn nodes(
        self,
        rows: &[Row],
        number: usize,
        function: &Function,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let fixed = |out: &mut dyn Write, block: usize, label: &str| {
            let node = Node(number, block);
            writeln!(
                out,
                "\t{node} [shape=Mdiamond,style=filled,label=\"{label}\"];\n"
            )
        };
        fixed(out, 0, "ENTRY")?;
        // a block may begin in the middle of what one source line says
        let mut line = None;
        for (n, block) in function.blocks.iter().enumerate() {
            let node = Node(number, n + FIXED);
            writeln!(out, "\t{node} [shape=record,style=filled,label=\"{{\\")?;
            let rows = rows.get(block.rows.clone()).unwrap_or_default();
            for (n, row) in rows.iter().enumerate() {
                if n > 0 {
                    out.write_all(b"| ")?;
                }
                let begins = row.source.is_some();
                line = row.source.as_ref().or(line);
                let line = line.filter(|_| begins || n == 0);
                self.row(row, line, out)?;
            }
            writeln!(out, "}}\"];\n")?;
        }
        fixed(out, 1, "EXIT")
    }

    fn row(self, row: &Row, line: Option<&SourceLine>, out: &mut dyn Write) -> io::Result<()> {
        if let Some(proto) = &row.proto {
            writeln!(out, "; {}:\\l\\", Label::code(proto))?;
        }
        if let Some(line) = line.filter(|line| !line.text.as_bytes().is_empty()) {
            self.source(line, out)?;
        }
        writeln!(out, "{}: {}\\l\\", row.index, Label::code(&row.text))?;
        if self.opcodes {
            let mut bytes = Vec::new();
            for slot in row.slots.iter() {
                bytes.push(b' ');
                hexdump::append(&mut bytes, slot.as_bytes());
            }
            out.write_all(br"\ \ \ \")?;
            out.write_all(&bytes)?;
            out.write_all(b"\\l\\\n")?;
        }
        Ok(())
    }

    fn source(self, line: &SourceLine, out: &mut dyn Write) -> io::Result<()> {
        if self.line_numbers {
            let file = line.file.to_string();
            let file = shortened(&file);
            write!(out, "; [{}", if file.1 { "..." } else { "" })?;
            let (number, column) = (line.line, line.column);
            let file = Label::source(file.0);
            writeln!(out, "{file} line:{number} col:{column}]\\l\\")?;
        }
        writeln!(out, "; {}\\l\\", Label::source(&line.text))
    }
}

fn edges(number: usize, function: &Function, out: &mut dyn Write) -> io::Result<()> {
    let edge = |out: &mut dyn Write, from: usize, to: usize| {
        let (from, to) = (Node(number, from), Node(number, to));
        writeln!(
            out,
            "\t{from}:s -> {to}:n [style=\"solid,bold\", color=black, weight=10, constraint=true];"
        )
    };
    edge(out, 0, FIXED)?;
    for (n, block) in function.blocks.iter().enumerate() {
        for next in &block.next {
            let to = match next {
                Next::Block(to) => to + FIXED,
                Next::Exit => 1,
            };
            edge(out, n + FIXED, to)?;
        }
    }
    // keeps where the function is left below where it is entered
    let (entry, exit) = (Node(number, 0), Node(number, 1));
    writeln!(
        out,
        "\t{entry}:s -> {exit}:n [style=\"invis\", constraint=true];"
    )
}

/// The name of a block of a function.
struct Node(usize, usize);

impl Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fn_{}_bb_{}", self.0, self.1)
    }
}

/// The end of a path that is long, from a slash on, and whether something was left out.
fn shortened(path: &str) -> (&str, bool) {
    let Some(cut) = path.len().checked_sub(PATH).filter(|cut| *cut > 0) else {
        return (path, false);
    };
    let near = path
        .match_indices('/')
        .map(|(at, _)| at)
        .find(|at| *at >= cut);
    match near.or_else(|| path.rfind('/')) {
        // the dots would take more room than they save
        Some(at) if at < "...".len() => (path, false),
        Some(at) => (path.get(at..).unwrap_or(path), at > 0),
        None => (path, false),
    }
}

/// Text inside the label of a record.
struct Label {
    text: String,
    special: &'static [char],
}

impl Label {
    /// Blanks side by side would become one.
    fn source(text: impl Display) -> Self {
        Self {
            text: text.to_string(),
            special: &['\\', '"', '{', '}', '<', '>', '|', ' '],
        }
    }

    fn code(text: impl Display) -> Self {
        Self {
            text: text.to_string(),
            special: &['\\', '"', '{', '}', '<', '>', '|', '&'],
        }
    }
}

impl Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.text.split_inclusive(self.special) {
            match part
                .chars()
                .next_back()
                .filter(|c| self.special.contains(c))
            {
                Some(last) => {
                    let plain = part.len() - last.len_utf8();
                    write!(f, "{}\\{last}", part.get(..plain).unwrap_or_default())?;
                }
                None => f.write_str(part)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bpfsys::insn::Insn;
    use bpfsys::uapi::info::FuncInfo;

    use super::*;
    use crate::render::escape::Text;
    use crate::xlated::graph;

    fn row(index: usize, code: u8, off: i16, text: &str, line: Option<&str>) -> Row {
        Row {
            index,
            proto: None,
            source: line.map(|text| SourceLine {
                text: Text(text.into()),
                file: Text(b"a.c".to_vec()),
                line: 7,
                column: 1,
            }),
            text: text.into(),
            slots: vec![Insn::new(code, 0, 0, off, 0)],
        }
    }

    #[test]
    fn blocks_have_the_lines_of_their_function_and_the_edges_they_have() {
        let mut rows = vec![
            row(0, 0x15, 1, "if", Some("if (a)")),
            row(1, 0x95, 0, "exit", None),
            row(2, 0x95, 0, "exit", Some("return 0;")),
            row(3, 0x95, 0, "exit", Some("of another")),
        ];
        rows[3].proto = Some(Text(b"int f(void * ctx)".to_vec()));
        let record = |insn_off| FuncInfo {
            insn_off,
            type_id: 1,
        };
        let functions = graph::functions(&rows, &[record(0), record(3)], &[]);
        let mut out = Vec::new();
        let dot = Dot {
            opcodes: true,
            line_numbers: false,
        };
        dot.write(&rows, &functions, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for block in [
            "fn_0_bb_3 [shape=record,style=filled,label=\"{\\\n; if\\ (a)\\l\\\n1: exit\\l\\\n",
            "fn_0_bb_4 [shape=record,style=filled,label=\"{\\\n; return\\ 0;\\l\\\n2: exit\\l\\\n\\ \\ \\ \\ 95 00 ",
            "fn_1_bb_2 [shape=record,style=filled,label=\"{\\\n; int f(void * ctx):\\l\\\n; of\\ another\\l\\\n3: exit",
        ] {
            assert!(text.contains(block), "{block}\nin\n{text}");
        }
        let edges: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("bold"))
            .filter_map(|line| line.trim().split(" [").next())
            .collect();
        assert_eq!(
            edges,
            [
                "fn_0_bb_0:s -> fn_0_bb_2:n",
                "fn_0_bb_2:s -> fn_0_bb_3:n",
                "fn_0_bb_2:s -> fn_0_bb_4:n",
                "fn_0_bb_3:s -> fn_0_bb_1:n",
                "fn_0_bb_4:s -> fn_0_bb_1:n",
                "fn_1_bb_0:s -> fn_1_bb_2:n",
                "fn_1_bb_2:s -> fn_1_bb_1:n",
            ]
        );
    }

    #[test]
    fn labels_escape_what_shapes_them() {
        assert_eq!(
            Label::source("if (a < b) { \"x\\n\" }").to_string(),
            r#"if\ (a\ \<\ b)\ \{\ \"x\\n\"\ \}"#
        );
        assert_eq!(
            Label::code("(05) r1 &= r2 | 3").to_string(),
            r"(05) r1 \&= r2 \| 3"
        );
    }

    #[test]
    fn long_paths_lose_what_is_in_front() {
        for (path, expected) in [
            ("short.c", ("short.c", false)),
            (
                "/a/file-of-exactly-32-characters",
                ("/a/file-of-exactly-32-characters", false),
            ),
            (
                "/w/a-file-of-some-more-characters",
                ("/w/a-file-of-some-more-characters", false),
            ),
            (
                "/usr/src/some/where/selftests/progs/x.c",
                ("/some/where/selftests/progs/x.c", true),
            ),
            (
                "/dir/a-name-that-alone-is-longer-than-that.c",
                ("/a-name-that-alone-is-longer-than-that.c", true),
            ),
            (
                "a-name-without-any-slash-but-long-enough.c",
                ("a-name-without-any-slash-but-long-enough.c", false),
            ),
            (
                "/äääääääääääääääääääääääääääääääää",
                ("/äääääääääääääääääääääääääääääääää", false),
            ),
        ] {
            assert_eq!(shortened(path), expected, "{path}");
        }
    }
}
